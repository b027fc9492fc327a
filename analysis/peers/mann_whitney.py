"""A judge of Kayenta's kind: one point a minute, a rank-sum test a metric, a score, and marginal and pass marks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from analysis.errors import InvalidSpec
from analysis.evidence.special import FloatArray
from analysis.peers.minutes import ArmMinutes, minutes_of
from analysis.peers.rank_sum import rank_sum_z, shift_estimate
from analysis.simulation.fleet import ArmName
from analysis.simulation.rollout import SimulatedRollout

CONFIDENCE = 0.98
TOLERANCE = 0.25
"""Of the estimated difference itself, not of the baseline: it makes the test stricter and is no margin."""
QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_NO_DATA_SHARE_MAX = 0.5

METRICS: Mapping[str, Callable[[ArmMinutes], FloatArray]] = {
    "errors": lambda arm: arm.error_ratio(),
    "p99": lambda arm: arm.quantile(0.99),
    "latency": lambda arm: arm.mean_latency(),
    "cpu": lambda arm: arm.cpu_per_pod(),
    "memory": lambda arm: arm.memory_bytes,
}


@dataclass(frozen=True)
class Difference:
    """What a metric's points say.

    Attributes:
        z: of the test that the canary is larger by more than a quarter of the estimated difference.
        effect: mean of the canary / mean of the control; NaN where either is 0, and then it is not asked.
    """

    z: float
    effect: float

    def high(self, allowed_increase: float = 1.0) -> bool:
        """Whether the metric fails."""
        return self.z > QUANTILE and not self.effect < allowed_increase


def compare(canary: FloatArray, control: FloatArray) -> Difference | None:
    """Return the difference of two metrics' points; None where either has none that are numbers."""
    canary, control = canary[np.isfinite(canary)], control[np.isfinite(control)]
    if not canary.size or not control.size:
        return None
    means = float(canary.mean()), float(control.mean())
    effect = means[0] / means[1] if means[0] and means[1] else float("nan")
    return Difference(rank_sum_z(canary, control, TOLERANCE * abs(shift_estimate(canary, control))), effect)


@dataclass(frozen=True)
class MannWhitney:
    """The judge and its settings.

    Attributes:
        control: stable, or a fresh baseline of the canary's size, which its authors advise.
        begin_after_minutes: points before are not looked at.
        look_minutes: when it looks, always at everything since the beginning.
        critical: any metric that fails, fails the canary; else each takes a fifth of the score.
        allowed_increase: of a metric's mean before it may fail.
        marginal: score that every look must reach.
        passing: score that the last look must reach.
    """

    name: str
    control: ArmName = ArmName.BASELINE
    begin_after_minutes: int = 3
    look_minutes: tuple[int, ...] = (10, 20, 30, 40)
    critical: bool = False
    allowed_increase: float = 1.0
    marginal: float = 75.0
    passing: float = 95.0

    def scales(self, rollout: SimulatedRollout) -> FloatArray:
        """Return by how much the quantile of the test could grow; see Peer.

        Raises:
            InvalidSpec: the rollout has no pods of the control.
        """
        if not rollout.has(self.control):
            raise InvalidSpec(
                "control", f"the rollout has no {self.control} pods", "give its schedule a fresh baseline"
            )
        arms = minutes_of(rollout, self.control)
        points = {name: self._points(name, arms) for name in METRICS}
        minutes = arms[0].requests.size
        scales = np.full(minutes, -np.inf)
        looks = [look for look in self.look_minutes if look <= minutes]
        for look in looks:
            found = [compare(canary[:look], control[:look]) for canary, control in points.values()]
            scales[look - 1] = self._look(found, self.passing if look == looks[-1] else self.marginal)
        return np.maximum.accumulate(scales)

    def _points(self, name: str, arms: tuple[ArmMinutes, ArmMinutes]) -> tuple[FloatArray, FloatArray]:
        metric = METRICS[name]
        if name == "cpu" and self.control is ArmName.STABLE:
            # Pods of stable and canary carry different loads.
            metric = ArmMinutes.cpu_per_request
        canary, control = (metric(arm).copy() for arm in arms)
        for values in (canary, control):
            values[: self.begin_after_minutes] = np.nan
        return canary, control

    def _look(self, found: list[Difference | None], needed: float) -> float:
        """Return the largest scale at which this look fails."""
        known = [difference for difference in found if difference is not None]
        if len(known) <= len(found) * (1 - _NO_DATA_SHARE_MAX):
            return np.inf
        values = sorted((self._value(difference) for difference in known), reverse=True)
        # A metric without data counts as passed, so all that are known may be too few to fail.
        failing = 1 if self.critical else self._failures_needed(len(found), needed)
        return values[failing - 1] if failing <= len(values) else -np.inf

    def _failures_needed(self, metrics: int, score_needed: float) -> int:
        return next(failing for failing in range(1, metrics + 1) if 100 * (1 - failing / metrics) < score_needed)

    def _value(self, difference: Difference) -> float:
        return -np.inf if difference.effect < self.allowed_increase else difference.z / QUANTILE


EVERY_MINUTE = tuple(range(8, 241))
# K1 to K5 are the settings of the design's tables. K6 and K7 were picked from seven others at 1 % false rollbacks: both
# find more errors than K5 there, but K6 less latency and fewer leaks, and K7 hardly any leak.
K1 = MannWhitney("mann-whitney-stable", ArmName.STABLE, begin_after_minutes=0)
K2 = MannWhitney("mann-whitney-baseline")
K3 = MannWhitney("mann-whitney-critical", critical=True)
K4 = MannWhitney("mann-whitney-critical-1.1", critical=True, allowed_increase=1.1)
K5 = MannWhitney("mann-whitney-minutely", critical=True, look_minutes=EVERY_MINUTE)
K6 = MannWhitney("mann-whitney-minutely-1.1", critical=True, allowed_increase=1.1, look_minutes=EVERY_MINUTE)
K7 = MannWhitney(
    "mann-whitney-minutely-1.1-stable", ArmName.STABLE, critical=True, allowed_increase=1.1, look_minutes=EVERY_MINUTE
)
