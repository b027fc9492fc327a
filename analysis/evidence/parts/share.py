"""Whether the canary gets the traffic that its weight asks for: a check of the experiment, not of the release."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.evidence.gathered import Gathered, PodSums
from analysis.evidence.likelihood import NormalLikelihood
from analysis.evidence.parts.means import normal

SHORTAGE = 0.5
"""Less than half of what the weight asks for is a shortage; pods, retries and rounding explain smaller differences."""
FALSE_ALARM = 0.001
BLOCK_VARIANCE, LASTING_VARIANCE = 0.05, 0.02
_S, _I, _NC, _NS = range(4)
_NO_PODS = PodSums((), np.zeros((1, 0)))


@dataclass(frozen=True)
class SharePart:
    """The shortage of the canary's traffic: u = ln(share asked for / share seen), in odds."""

    def gather(self, requests: tuple[float, float], weight_percent: int | None) -> Gathered:
        """Return the sums of one block, from the requests of canary and stable, young pods included."""
        sums = np.array([0.0, 0.0, *requests])
        if weight_percent is not None and 0 < weight_percent < 100 and sum(requests) > 0:
            canary, stable = (one + 0.5 for one in requests)
            asked = math.log(weight_percent / (100 - weight_percent))
            variance = 1 / canary + 1 / stable + BLOCK_VARIANCE
            sums[_S], sums[_I] = (asked - math.log(canary / stable)) / variance, 1 / variance
        return Gathered(sums, _NO_PODS, _NO_PODS)

    def likelihood(self, gathered: Gathered) -> NormalLikelihood:
        """Return what the requests say of u."""
        return normal(float(gathered.sums[_S]), float(gathered.sums[_I]), LASTING_VARIANCE, 0.1)

    def problem(self, gathered: Gathered, weight_percent: int | None) -> str:
        """Return a sentence where the canary gets too little, else nothing."""
        bound = -math.log(SHORTAGE)
        if self.likelihood(gathered).harm_log_evidence(bound, bound) < -math.log(FALSE_ALARM):
            return ""
        requests = float(gathered.sums[_NC]), float(gathered.sums[_NS])
        share = requests[0] / max(sum(requests), 1.0)
        return (
            f"the canary gets {share:.2%} of the requests and its weight is {weight_percent}%:"
            " look at its readiness, and at what routes to it"
        )
