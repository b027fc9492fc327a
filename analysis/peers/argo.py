"""The ratio rule people write for Argo Rollouts: canary over k times stable, on rates over five minutes."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.peers.minutes import divided, minutes_of
from analysis.peers.ranked import largest_so_far
from analysis.simulation.rollout import SimulatedRollout

_RATE_MINUTES = 5


@dataclass(frozen=True)
class ArgoRatio:
    """Three metrics, each measured every minute; one that failed more often than its limit aborts.

    Attributes:
        errors_max: canary / stable of errors per request; the others alike.
        failure_limit: failed measurements of one metric that are still borne.
    """

    name: str = "argo-ratio"
    errors_max: float = 1.5
    p99_max: float = 1.2
    cpu_max: float = 1.2
    failure_limit: int = 3

    def scales(self, rollout: SimulatedRollout) -> FloatArray:
        """Return by how much all three ratios could grow; see Peer."""
        canary, stable = (arm.over(_RATE_MINUTES) for arm in minutes_of(rollout))
        ratios = (
            _ratio(canary.error_ratio(), stable.error_ratio()) / self.errors_max,
            _ratio(canary.quantile(0.99), stable.quantile(0.99)) / self.p99_max,
            _ratio(canary.cpu_per_request(), stable.cpu_per_request()) / self.cpu_max,
        )
        failed = np.stack([largest_so_far(ratio, self.failure_limit + 1) for ratio in ratios])
        return np.asarray(failed.max(axis=0), dtype=np.float64)


def _ratio(canary: FloatArray, stable: FloatArray) -> FloatArray:
    """Canary / stable. Nothing against nothing passes, something against nothing fails, as a careful author has it."""
    ratio = divided(canary, stable)
    return np.where(np.isnan(ratio), np.where(canary > 0, np.inf, -np.inf), ratio)


ARGO_RATIO = ArgoRatio()
