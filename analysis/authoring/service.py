"""What an author knows of a service before any rollout: traffic, errors, latency, pods, and the steps to be planned."""

import math
from dataclasses import dataclass, field

from analysis.evidence.metric_parts import log_worsening
from analysis.rules import CountsRule, Direction, MetricRule, family_name
from analysis.simulation.world import DEFAULT_BOUNDS

EVENTS_PER_POD_HOUR = 1 / 30
"""Restarts and the like, where an author says nothing else: one in thirty hours of a pod."""
IDLE_SHARE = 1 / 3
"""Share of a stable pod's use that it would use without load too."""


@dataclass(frozen=True)
class Service:
    """A service in its usual state.

    Attributes:
        requests_per_second: of the whole service.
        error_rate: share of requests that are events of Counts; 0.005 is 0.5 %.
        error_rates: the same for some metrics by name.
        latency_seconds: median.
        latency_sigma: standard deviation of the logarithm of a request's latency.
        stable_pods: pods of the old version, which stay beside the canary.
        bounds: upper bounds of the latency buckets, seconds.
    """

    requests_per_second: float
    error_rate: float
    error_rates: dict[str, float] = field(default_factory=dict)
    latency_seconds: float = 0.08
    latency_sigma: float = 0.7
    stable_pods: int = 10
    bounds: tuple[float, ...] = DEFAULT_BOUNDS

    def error_rate_of(self, metric: str) -> float:
        """Return the error rate of a metric."""
        return self.error_rates.get(metric, self.error_rate)


@dataclass(frozen=True)
class PlannedStep:
    """A weight in percent that is held for some seconds, and the pods that carry it."""

    weight_percent: int
    canary_pods: int
    seconds: float


def planned_steps(
    weights_percent: tuple[int, ...], seconds: float, stable_pods: int, canary_pods: tuple[int, ...] = ()
) -> tuple[PlannedStep, ...]:
    """Return steps of equal length; without `canary_pods` a step has its weight's share of pods, rounded up."""
    pods = canary_pods or tuple(max(math.ceil(stable_pods * weight / 100), 1) for weight in weights_percent)
    return tuple(PlannedStep(weight, count, seconds) for weight, count in zip(weights_percent, pods, strict=True))


@dataclass(frozen=True)
class Harm:
    """What a bad release does to one metric, as a factor; of Growth, what an hour multiplies it by."""

    label: str
    factor: float

    def log(self, direction: Direction) -> float:
        """Return u = ln(canary / stable) of this harm in the direction that is worse."""
        return -log_worsening(1 - 1 / self.factor, direction) if direction == "Decrease" else math.log(self.factor)


_HARMS: dict[str, tuple[Harm, ...]] = {
    "Counts": (Harm("x2", 2.0), Harm("x1.5", 1.5)),
    "Histogram": (Harm("+10%", 1.10),),
    "Level": (Harm("+20%", 1.20),),
    "Growth": (Harm("+50%/h", 1.50),),
    "Usage": (Harm("+30%", 1.30),),
}
_RARE = (Harm("x10", 10.0),)
"""Of events a pod-second, such as restarts: smaller harms take days to be seen."""


def harms_of(rule: MetricRule) -> tuple[Harm, ...]:
    """Return the harms that are planned for, the leading one first; of a metric that may not fall, the inverse."""
    harms = _HARMS[family_name(rule.family)]
    if isinstance(rule.family, CountsRule) and rule.family.pod_seconds:
        harms = _RARE
    if rule.direction != "Decrease":
        return harms
    return tuple(Harm(f"/{harm.factor:g}", harm.factor) for harm in harms)
