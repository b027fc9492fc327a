"""Usage: what a resource costs at equal load, such as CPU at equal requests."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import ArmBlock, Block
from analysis.evidence.gathered import Gathered, by_pod, log_load_ratio, noise_weight
from analysis.evidence.likelihood import NormalLikelihood
from analysis.evidence.noise import Noise
from analysis.evidence.parts.means import lasting, normal
from analysis.evidence.table import LOAD, USED

_S, _I, _LOAD, _UC, _NC, _US, _NS = range(7)


@dataclass(frozen=True)
class UsagePart:
    """The use of a resource.

    A FailureModel knows what an idle pod and a unit of load cost. Without one, all use may be idle or all may come
    from load; both views are taken, and only what both call harm is harm.
    """

    noise: Noise
    unit: float
    label: str = ""

    def gather(self, block: Block) -> Gathered:
        """Return the sums of one block: of D/V at equal time, of 1/V, and of the log load ratio over V."""
        canary, stable = _Arm.of(block.canary), _Arm.of(block.stable)
        sums = np.zeros(7)
        sums[_UC:] = (canary.used, canary.load, stable.used, stable.load)
        if min(canary.used, stable.used) > 0:
            weights = [noise_weight(arm, arm.seconds, block.interval_seconds) for arm in (block.canary, block.stable)]
            variance = max(self.noise.omega2 * sum(weights), 1e-12)
            # One by one: a quotient of nonsense would be infinite, and all evidence of the run no number.
            difference = self._log_cost(canary) - self._log_cost(stable)
            sums[_S], sums[_I] = difference / variance, 1 / variance
            if self.noise.usage is None:
                sums[_LOAD] = log_load_ratio((canary.load, stable.load), (canary.seconds, stable.seconds)) / variance
        pods = [by_pod(arm, arm.seconds) for arm in (block.canary, block.stable)]
        return Gathered(sums, pods[0], pods[1])

    def likelihood(self, gathered: Gathered) -> NormalLikelihood:
        """Return what the use says of u, by the best and by the worst view."""
        sums = gathered.sums
        idle = normal(float(sums[_S]), float(sums[_I]), lasting(self.noise, gathered), self.unit)
        if not idle.known:
            return idle
        loaded = idle.low - float(sums[_LOAD]) / float(sums[_I])
        return NormalLikelihood(min(idle.low, loaded), max(idle.low, loaded), idle.variance, self.unit)

    def totals(self, gathered: Gathered) -> tuple[float, float, float, float]:
        """Return use and load of the canary, and of stable."""
        return tuple(float(one) for one in gathered.sums[_UC:])  # type: ignore[return-value]

    def _log_cost(self, arm: "_Arm") -> float:
        """Return ln of what was used over what is expected of so much time and load."""
        per_second, per_load = self.noise.usage or (1.0, 0.0)
        return math.log(arm.used) - math.log(max(per_second * arm.seconds + per_load * arm.load, 1e-300))


@dataclass(frozen=True)
class _Arm:
    used: float
    load: float
    seconds: float

    @classmethod
    def of(cls, arm: ArmBlock) -> "_Arm":
        return cls(float(arm.amounts[:, USED].sum()), float(arm.amounts[:, LOAD].sum()), float(arm.seconds.sum()))
