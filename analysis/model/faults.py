"""Faults that are put into placebo releases, to learn which of them the judge would find, and how soon."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.evidence.table import EVENTS, TOTAL, USED, ArmTable, Table
from analysis.model.placebo import Release
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule

_FIRST_BUCKET_RATIO = 2.5
"""The first bucket is taken to reach down by this factor, as when its middle is taken."""
_SECONDS_AN_HOUR = 3600.0

Change = Callable[[Table, np.random.Generator], FloatArray]
"""From a table to the canary's amounts with the fault."""


@dataclass(frozen=True)
class Fault:
    """A fault of one metric, from the canary's first minute on.

    Attributes:
        name: for people, such as `errors x2`.
        metric: that shows it.
    """

    name: str
    metric: str
    change: Change

    def put_into(self, release: Release, seed: int) -> Release:
        """Return the release with the fault in its canary."""
        return replace(
            release,
            tables={**release.tables, self.metric: self._faulty(release.tables[self.metric], seed)},
            raw={**release.raw, self.metric: self._faulty(release.raw[self.metric], seed)},
        )

    def _faulty(self, table: Table, seed: int) -> Table:
        random = np.random.Generator(np.random.PCG64(seed))
        canary = table.canary
        if not canary.pods:
            return table
        return replace(table, canary=ArmTable(canary.pods, canary.seconds, self.change(table, random)))


def faults_of(rules: Sequence[MetricRule]) -> tuple[Fault, ...]:
    """Return the faults that a certificate tells about: one or two for each metric, in its worse direction."""
    return tuple(fault for rule in rules if not rule.dry_run for fault in _of(rule))


def _of(rule: MetricRule) -> tuple[Fault, ...]:
    falls = rule.direction == "Decrease"
    match rule.family:
        case CountsRule():
            if falls:
                return (Fault(f"{rule.name} halved", rule.name, fewer_events(0.5)),)
            return tuple(Fault(f"{rule.name} x{factor}", rule.name, more_events(factor)) for factor in (2, 5))
        case HistogramRule():
            return tuple(
                Fault(f"{rule.name} {_words(percent, falls=falls)}", rule.name, slower(_factor(percent, falls=falls)))
                for percent in (10, 25)
            )
        case GaugeRule(type="Usage"):
            return (Fault(f"{rule.name} {_words(30, falls=falls)}", rule.name, more_used(_factor(30, falls=falls))),)
        case GaugeRule(type="Growth"):
            return (Fault(f"{rule.name} {_words(50, falls=falls)}/h", rule.name, growing(_factor(50, falls=falls))),)
        case GaugeRule(scale=scale):
            return (
                Fault(f"{rule.name} {_words(25, falls=falls)}", rule.name, higher(_factor(25, falls=falls), scale)),
            )


def _words(percent: int, *, falls: bool) -> str:
    return f"{'-' if falls else '+'}{percent}%"


def _factor(percent: int, *, falls: bool) -> float:
    return 1 + (-percent if falls else percent) / 100


def more_events(factor: float) -> Change:
    """Return the fault that events happen so many times as often.

    The additional ones are drawn at stable's rate of the same window. Doubling the canary's own events instead would
    double their noise as well.
    """

    def change(table: Table, random: np.random.Generator) -> FloatArray:
        amounts, stable = table.canary.amounts.copy(), table.stable.amounts.sum(axis=0)
        whole = stable.sum(axis=0)
        usual = whole[EVENTS] / max(whole[TOTAL], 1e-300)
        by_window = np.where(stable[:, TOTAL] > 0, stable[:, EVENTS] / np.maximum(stable[:, TOTAL], 1e-300), usual)
        more = random.poisson((factor - 1) * by_window * amounts[:, :, TOTAL])
        amounts[:, :, EVENTS] = np.where(amounts[:, :, TOTAL] > 0, amounts[:, :, EVENTS] + more, 0.0)
        return amounts

    return change


def fewer_events(share: float) -> Change:
    """Return the fault that only a share of the events happens: each is kept with that probability."""

    def change(table: Table, random: np.random.Generator) -> FloatArray:
        amounts = table.canary.amounts.copy()
        amounts[:, :, EVENTS] = random.binomial(np.rint(amounts[:, :, EVENTS]).astype(np.int64), share)
        return amounts

    return change


def slower(factor: float) -> Change:
    """Return the fault that every request takes so many times as long.

    Within a bucket, logarithms of latency are taken to be spread evenly, so some requests move to the next buckets.
    """

    def change(table: Table, random: np.random.Generator) -> FloatArray:
        amounts = table.canary.amounts
        if not table.bounds:
            return amounts
        moved = np.zeros_like(amounts)
        for bucket, shares in enumerate(_moves(table.bounds, factor)):
            moved += random.multinomial(np.rint(amounts[:, :, bucket]).astype(np.int64), shares)
        return moved

    return change


def _moves(bounds: tuple[float, ...], factor: float) -> FloatArray:
    """Return (from, to): the share of each bucket's requests that ends in another one."""
    upper = np.log(np.array(bounds))
    edges = np.concatenate([[upper[0] - math.log(_FIRST_BUCKET_RATIO)], upper])
    shares = np.zeros((len(bounds) + 1, len(bounds) + 1))
    for bucket in range(len(bounds)):
        low, high = edges[bucket], edges[bucket + 1]
        within = np.clip((upper - math.log(factor) - low) / (high - low), 0.0, 1.0)
        shares[bucket] = np.diff(np.concatenate([[0.0], within, [1.0]]))
    # Nothing is known of how far beyond the last bound a request was; a slower one stays there.
    shares[-1, -1] = 1.0
    return shares


def more_used(factor: float) -> Change:
    """Return the fault that equal load costs so many times as much."""

    def change(table: Table, random: np.random.Generator) -> FloatArray:
        del random
        amounts = table.canary.amounts.copy()
        amounts[:, :, USED] *= factor
        return amounts

    return change


def higher(factor: float, scale: str) -> Change:
    """Return the fault that a level is so many times as high; of a share, its odds."""

    def change(table: Table, random: np.random.Generator) -> FloatArray:
        del random
        values = table.canary.amounts
        return values * factor if scale == "Log" else factor * values / (1 - values + factor * values)

    return change


def growing(factor_an_hour: float) -> Change:
    """Return the fault that a level is multiplied by this in every hour of a pod's life."""

    def change(table: Table, random: np.random.Generator) -> FloatArray:
        del random
        hours = (np.arange(table.windows) + 0.5) * table.interval_seconds / _SECONDS_AN_HOUR
        return np.asarray(table.canary.amounts * factor_an_hour ** hours[None, :, None], dtype=np.float64)

    return change
