"""Flagger's rule: every minute's values against fixed limits; so many failed checks roll back."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.peers.minutes import minutes_of
from analysis.peers.ranked import largest_so_far
from analysis.simulation.rollout import SimulatedRollout


@dataclass(frozen=True)
class Flagger:
    """No baseline, no count of requests. A check without values fails, as Flagger's does.

    Attributes:
        error_ratio_max: 0.01 is Flagger's usual success rate of 99 %.
        p99_seconds_max: its usual limit of request duration is 500 ms.
        failed_checks: that roll back (`threshold`), whenever they were.
    """

    name: str = "flagger"
    error_ratio_max: float = 0.01
    p99_seconds_max: float = 0.5
    failed_checks: int = 5

    def scales(self, rollout: SimulatedRollout) -> FloatArray:
        """Return by how much both limits could grow; see Peer."""
        canary, _ = minutes_of(rollout)
        errors = canary.error_ratio() / self.error_ratio_max
        latency = canary.quantile(0.99) / self.p99_seconds_max
        # fmax and nan_to_num: a value that is missing fails at any limit.
        worst = np.nan_to_num(np.maximum(errors, latency), nan=np.inf, posinf=np.inf)
        return largest_so_far(worst, self.failed_checks)


FLAGGER = Flagger()
FLAGGER_LOOSE = Flagger("flagger-loose", error_ratio_max=0.025, p99_seconds_max=1.0)
