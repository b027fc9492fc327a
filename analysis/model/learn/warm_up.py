"""How long young pods differ: caches are cold, code is not compiled yet, connections are new.

Learned from pods that were born or restarted in the history. What a pod did between two ages is the difference of two
tables that leave out pods below the one and below the other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np

from analysis.evidence.metric_parts import scale_of, unit
from analysis.evidence.parts.typical import log_scores
from analysis.evidence.special import FloatArray
from analysis.evidence.table import EVENTS, TOTAL, USED, ArmTable, Table
from analysis.failure_model_spec import ModelMetric
from analysis.rules import CountsRule, HistogramRule, MetricRule

AGES_SECONDS = (0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0, 900.0)
"""Ages at which history is cut; pods older than the last are grown up."""
WARM_UP_MAX_SECONDS = 1800.0
BEARABLE, BEARABLE_OF_COUNTS = 2.0, 3.0
"""Of the size of harm: what a pod may differ by when its mask ends. Rates of events vary more by themselves."""
SIGNIFICANT = 3.0
"""The initial difference must be this many standard errors large, else young pods are not known to differ."""
_DECAYS_SECONDS = (30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 360.0, 480.0)

ByAge = Mapping[float, Table]
"""Tables of one piece of history, each without pods younger than its key in seconds."""


@dataclass(frozen=True)
class AgeBin:
    """How much pods of some age differ from grown-up ones at the same time.

    Attributes:
        age_seconds: the middle of the bin.
        difference: of the logarithm of what they show.
        variance: of that.
    """

    age_seconds: float
    difference: float
    variance: float


def warm_up_seconds(rule: MetricRule, pieces: Sequence[ByAge], omega2: float) -> float | None:
    """Return the age from which on a pod differs by less than two or three times of what is called harm.

    None where young pods are not known to differ. The difference falls exponentially from a pod's start: its size and
    its decay are fitted to all ages by weighted least squares. The bias that a mask leaves soon is smaller than harm;
    longer masks lose more data than they save false rollbacks (measured: `make bench-decisions`).

    Args:
        rule: of the metric.
        pieces: of history, each with a table for every age of `AGES_SECONDS`.
        omega2: noise of a pod in one window, of `Noise`.
    """
    bins = [found for found in _bins(rule, pieces, omega2) if found is not None]
    if len(bins) < 3:
        return None
    fits = [_fit(bins, decay) for decay in _DECAYS_SECONDS]
    size, error, _, decay = min(fits, key=lambda fit: fit[2])
    times = BEARABLE_OF_COUNTS if isinstance(rule.family, CountsRule) else BEARABLE
    bearable = times * unit(rule.harm)
    if abs(size) < SIGNIFICANT * error or abs(size) <= bearable:
        return None
    until = decay * math.log(abs(size) / bearable)
    whole = math.ceil(until / rule.interval_seconds) * rule.interval_seconds
    return min(whole, WARM_UP_MAX_SECONDS)


def with_warm_ups(
    metrics: Sequence[ModelMetric], rules: Sequence[MetricRule], history: Sequence[Mapping[float, Mapping[str, Table]]]
) -> tuple[ModelMetric, ...]:
    """Return learned metrics with how long their young pods differ.

    Args:
        metrics: of `learn`.
        rules: of the metrics.
        history: pieces by age of `AGES_SECONDS`, then by metric; only stable pods.
    """
    known = {rule.name: rule for rule in rules}
    found = []
    for metric in metrics:
        pieces = [
            {age: tables[metric.name] for age, tables in piece.items() if metric.name in tables} for piece in history
        ]
        whole = [piece for piece in pieces if len(piece) == len(AGES_SECONDS)]
        seconds = warm_up_seconds(known[metric.name], whole, float(metric.noise.omega_squared))
        found.append(metric if seconds is None else msgspec.structs.replace(metric, warm_up=f"{seconds:g}s"))
    return tuple(found)


def _fit(bins: Sequence[AgeBin], decay_seconds: float) -> tuple[float, float, float, float]:
    """Return size, its standard error, the weighted squares that remain, and the decay."""
    x = np.array([math.exp(-one.age_seconds / decay_seconds) for one in bins])
    y = np.array([one.difference for one in bins])
    weight = np.array([1 / one.variance for one in bins])
    information = float((weight * x * x).sum())
    size = float((weight * x * y).sum()) / information
    return size, 1 / math.sqrt(information), float((weight * (y - size * x) ** 2).sum()), decay_seconds


def _bins(rule: MetricRule, pieces: Sequence[ByAge], omega2: float) -> list[AgeBin | None]:
    edges = pairwise(AGES_SECONDS)
    return [_bin(rule, pieces, omega2, young, old) for young, old in edges]


def _bin(rule: MetricRule, pieces: Sequence[ByAge], omega2: float, young: float, old: float) -> AgeBin | None:
    sums = np.zeros(4)
    for piece in pieces:
        grown = piece[AGES_SECONDS[-1]]
        sums += _sums(rule, between(piece[young].stable, piece[old].stable), grown.stable, grown.bounds)
    return _aged(rule, sums, omega2, (young + old) / 2)


def between(younger: ArmTable, older: ArmTable) -> ArmTable:
    """Return what pods did between two ages: what the first table has and the second leaves out."""
    place = {pod: row for row, pod in enumerate(older.pods)}
    rows = [place.get(pod, -1) for pod in younger.pods]
    known = np.array([row >= 0 for row in rows])
    seconds, amounts = younger.seconds.copy(), younger.amounts.copy()
    taken = [row for row in rows if row >= 0]
    if amounts.shape[2] == 1:
        amounts[known] = np.where(older.seconds[taken][:, :, None] > 0, np.nan, amounts[known])
    else:
        amounts[known] -= older.amounts[taken]
    seconds[known] -= older.seconds[taken]
    return ArmTable(younger.pods, np.maximum(seconds, 0.0), amounts)


def _sums(rule: MetricRule, young: ArmTable, grown: ArmTable, bounds: tuple[float, ...]) -> FloatArray:
    """Return seen, expected, weight and the sum of squared weights of young pods in one piece of history."""
    match rule.family:
        case CountsRule():
            return _ratio(young, grown, EVENTS, TOTAL)
        case HistogramRule():
            return _mean(_scores(young, bounds), _scores(grown, bounds))
        case _ if scale_of(rule) == "Sum":
            return _ratio(young, grown, USED, None)
        case _:
            with np.errstate(invalid="ignore", divide="ignore"):
                levels = [(np.log(arm.amounts[:, :, 0]), arm.seconds) for arm in (young, grown)]
            return _mean(*levels)


def _ratio(young: ArmTable, grown: ArmTable, events: int, total: int | None) -> FloatArray:
    exposure = [arm.seconds if total is None else arm.amounts[:, :, total] for arm in (young, grown)]
    whole = exposure[1].sum(axis=0)
    rate = np.divide(grown.amounts[:, :, events].sum(axis=0), whole, out=np.zeros_like(whole), where=whole > 0)
    expected = np.where(whole > 0, exposure[0] * rate, 0.0)
    seen = np.where(whole > 0, young.amounts[:, :, events], 0.0)
    return np.array([seen.sum(), expected.sum(), expected.sum(), (expected**2).sum()])


Weighted = tuple[FloatArray, FloatArray]
"""Values and their weights, (pods, windows)."""


def _scores(arm: ArmTable, bounds: tuple[float, ...]) -> Weighted:
    requests = arm.amounts.sum(axis=2)
    scores = arm.amounts @ log_scores(bounds) if bounds else np.zeros_like(requests)
    return np.divide(scores, requests, out=np.zeros_like(requests), where=requests > 0), requests


def _mean(young: Weighted, grown: Weighted) -> FloatArray:
    value, weight = (np.where(np.isfinite(young[0]), one, 0.0) for one in young)
    old_value, old_weight = (np.where(np.isfinite(grown[0]), one, 0.0) for one in grown)
    whole = old_weight.sum(axis=0)
    usual = np.divide((old_value * old_weight).sum(axis=0), whole, out=np.zeros_like(whole), where=whole > 0)
    weight = np.where(whole > 0, np.maximum(weight, 0.0), 0.0)
    return np.array([(weight * (value - usual)).sum(), 0.0, weight.sum(), (weight**2).sum()])


def _aged(rule: MetricRule, sums: FloatArray, omega2: float, age_seconds: float) -> AgeBin | None:
    seen, expected, weight, squares = (float(one) for one in sums)
    if weight <= 0:
        return None
    noise = omega2 * squares / weight**2
    if isinstance(rule.family, CountsRule):
        if expected < 1:
            return None
        return AgeBin(age_seconds, math.log((seen + 0.5) / (expected + 0.5)), 1 / (seen + 0.5) + noise)
    if isinstance(rule.family, HistogramRule):
        # A request's score varies by about one; what that adds to the noise of pods is small.
        return AgeBin(age_seconds, seen / weight, 1 / weight + max(noise, 1e-9))
    if scale_of(rule) == "Sum":
        if min(seen, expected) <= 0:
            return None
        return AgeBin(age_seconds, math.log(seen / expected), max(noise, 1e-9))
    return AgeBin(age_seconds, seen / weight, max(noise, 1e-9))
