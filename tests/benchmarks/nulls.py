"""Worlds in which a release does exactly no harm, drawn from the engine's own models with known noise.

Each is a metric and a function that draws both arms over all windows. The true u = ln(canary / stable) is either 0 or
stands at the very bound of what the null forgives.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.evidence.metric_parts import NULL_SHARE, MetricNoise
from analysis.evidence.noise import Noise
from analysis.evidence.special import FloatArray
from analysis.evidence.table import Table
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from tests.support.judging import WINDOW, arm, table

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_HOUR = 3600.0

Draw = Callable[[np.random.Generator, int], Table]


@dataclass(frozen=True)
class Null:
    """A metric without harm: its rule, the noise that is true and told, the true u, and how both arms are drawn."""

    rule: MetricRule
    noise: MetricNoise
    u: float
    draw: Draw


def nulls() -> dict[str, Null]:
    """Return all of them by name."""
    quiet, noisy, pods = Noise(0.0, 0.0), Noise(0.3, 0.0), Noise(0.3, 0.04)
    return {
        "counts, no noise": counts(quiet, 0.1, 0.0),
        "counts, no noise, at the bound": counts(quiet, 0.1, 1.0),
        "counts, no noise, at the bound of 30 %": counts(quiet, 0.3, 1.0),
        "counts, gamma noise": counts(noisy, 0.1, 0.0),
        "counts, gamma noise, at the bound": counts(noisy, 0.1, 1.0),
        "counts, pods that differ": counts(pods, 0.1, 0.0),
        "counts, pods that differ, at the bound": counts(pods, 0.1, 1.0),
        "counts, one canary pod of eleven": counts(pods, 0.1, 0.0, arms=(1, 10)),
        "typical latency": latency(Noise(0.02, 0.0025)),
        "level": level(Noise(0.02, 0.0025), 0.0),
        "level, no lasting difference, at the bound": level(Noise(0.02, 0.0), 1.0),
        "growth": growth(Noise(0.01, 0.0004), (1, 10)),
        "growth, few stable pods": growth(Noise(0.01, 0.0), (4, 4)),
        "usage": usage(Noise(0.02, 0.0025), 0.0),
        "usage, no lasting difference, at the bound": usage(Noise(0.02, 0.0), 1.0),
    }


def counts(noise: Noise, harm: float, at_bound: float, arms: tuple[int, int] = (3, 6), rate: float = 0.02) -> Null:
    """Return errors of requests: Poisson, times gamma noise by pod and window, times a lasting one by pod."""
    u = at_bound * NULL_SHARE * math.log1p(harm)

    def draw(random: np.random.Generator, windows: int) -> Table:
        sides = [
            _errors(random, noise, pods, windows, rate * math.exp(v)) for pods, v in zip(arms, (u, 0.0), strict=True)
        ]
        return table(arm("new", sides[0]), arm("old", sides[1]))

    return Null(MetricRule("errors", WINDOW, CountsRule(), harm), MetricNoise(noise), u, draw)


def _errors(random: np.random.Generator, noise: Noise, pods: int, windows: int, rate: float) -> FloatArray:
    # Requests that never vary keep every pod's share, for which the beta-binomial is exact.
    requests = np.full((pods, windows), 500.0)
    rates = rate * np.exp(random.normal(0, math.sqrt(noise.tau2), (pods, 1)))
    if noise.omega2 > 0:
        rates = rates * random.gamma(1 / noise.omega2, noise.omega2, (pods, windows))
    return np.stack([random.poisson(requests * rates).astype(np.float64), requests], axis=2)


def latency(noise: Noise) -> Null:
    """Return a histogram of lognormal latencies, whose place varies by pod and window."""

    def draw(random: np.random.Generator, windows: int) -> Table:
        return table(
            arm("new", _buckets(random, noise, 3, windows)), arm("old", _buckets(random, noise, 6, windows)), BOUNDS
        )

    rule = MetricRule("latency", WINDOW, HistogramRule(), 0.03)
    return Null(rule, MetricNoise(noise), 0.0, draw)


def _buckets(random: np.random.Generator, noise: Noise, pods: int, windows: int) -> FloatArray:
    place = math.log(0.08) + _normal(random, noise, pods, windows)
    ends = (np.log(BOUNDS) - place[:, :, None]) / 0.7
    below = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(ends / math.sqrt(2)))
    shares = np.diff(below, axis=2, prepend=0.0, append=1.0)
    return random.multinomial(400, np.clip(shares, 0, 1)).astype(np.float64)


def level(noise: Noise, at_bound: float) -> Null:
    """Return a gauge whose logarithm is normal."""
    u = at_bound * NULL_SHARE * math.log1p(0.05)

    def draw(random: np.random.Generator, windows: int) -> Table:
        sides = [np.exp(_normal(random, noise, pods, windows) + v)[:, :, None] for pods, v in ((3, u), (6, 0.0))]
        return table(arm("new", sides[0]), arm("old", sides[1]))

    return Null(MetricRule("pool", WINDOW, GaugeRule("Level"), 0.05), MetricNoise(noise), u, draw)


def growth(noise: Noise, arms: tuple[int, int]) -> Null:
    """Return a gauge whose slopes differ by pod, by tau an hour."""

    def draw(random: np.random.Generator, windows: int) -> Table:
        hours = (np.arange(windows) + 0.5) * WINDOW / _HOUR
        sides = []
        for pods in arms:
            slopes = random.normal(0, math.sqrt(noise.tau2), (pods, 1))
            logarithm = slopes * hours + random.normal(0, math.sqrt(noise.omega2), (pods, windows))
            sides.append(np.exp(logarithm)[:, :, None])
        return table(arm("new", sides[0]), arm("old", sides[1]))

    return Null(MetricRule("memory", WINDOW, GaugeRule("Growth"), 0.04), MetricNoise(noise), 0.0, draw)


def usage(noise: Noise, at_bound: float) -> Null:
    """Return seconds of CPU at equal load; half of it is idle."""
    u = at_bound * NULL_SHARE * math.log1p(0.05)
    known = Noise(noise.omega2, noise.tau2, usage=(0.1, 0.01))

    def draw(random: np.random.Generator, windows: int) -> Table:
        sides = []
        for v in (u, 0.0):
            load = random.poisson(300.0, (5, windows)).astype(np.float64)
            # The mean of the factor is 1, as that of a sum over pods and windows has to be.
            varied = np.exp(_normal(random, noise, 5, windows) - noise.omega2 / 2 + v)
            sides.append(np.stack([(0.1 * WINDOW + 0.01 * load) * varied, load], axis=2))
        return table(arm("new", sides[0]), arm("old", sides[1]))

    return Null(MetricRule("cpu", WINDOW, GaugeRule("Usage", load=True), 0.05), MetricNoise(known), u, draw)


def _normal(random: np.random.Generator, noise: Noise, pods: int, windows: int) -> FloatArray:
    lasting = random.normal(0, math.sqrt(noise.tau2), (pods, 1))
    return lasting + random.normal(0, math.sqrt(noise.omega2), (pods, windows))
