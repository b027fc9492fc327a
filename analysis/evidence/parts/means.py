"""What parts that compare means share: weighted sums of differences become a normal likelihood."""

import math

from analysis.evidence.gathered import Gathered
from analysis.evidence.likelihood import NormalLikelihood
from analysis.evidence.noise import Noise


def lasting(noise: Noise, gathered: Gathered) -> float:
    """Return the variance of the lasting difference between the arms: tau^2 (1/m_c + 1/m_s), effective pods."""
    return noise.tau2 * (1 / gathered.canary.effective_pods + 1 / gathered.stable.effective_pods)


def normal(weighted: float, information: float, lasting_variance: float, unit: float) -> NormalLikelihood:
    """Return the likelihood of S = sum of D/V and I = sum of 1/V."""
    if information <= 0:
        return NormalLikelihood(0.0, 0.0, math.inf, unit)
    estimate = weighted / information
    return NormalLikelihood(estimate, estimate, 1 / information + lasting_variance, unit)
