"""How far a model may move the judge from the priors.

A history can be poisoned, by an attacker or by a bad week. Noise that is learned far too large would make the judge
blind, far too small would make it roll back everything. Neither a fitted model nor a manifest in Git gets beyond these.
"""

import math
from dataclasses import replace

from analysis.evidence.noise import Kind, Noise, prior_noise

LARGEST, SMALLEST = 10.0, 0.01
"""Of a variance, as a factor on the prior's: three times the standard deviation, and a tenth of it."""
ELASTICITY_LARGEST = 2.0
DOUBT_SMALLEST, DOUBT_LARGEST = 0.2, 10.0
"""Of the standard error of an elasticity, as a factor on the prior's."""
LIMIT_RAISE_MAX = math.log(100.0)
"""Of the limit: a hundred times the odds. Who needs more has other noise than the model says, and the certificate shows
it, which is played with this limit; without a bound a manifest could raise the limit beyond all evidence."""


def bounded(noise: Noise, kind: Kind, interval_seconds: float) -> Noise:
    """Return the noise, moved to the nearest that is allowed for windows of this length."""
    prior = prior_noise(interval_seconds, kind)
    return replace(
        noise,
        omega2=_between(noise.omega2, SMALLEST * prior.omega2, LARGEST * prior.omega2),
        tau2=_between(noise.tau2, SMALLEST * prior.tau2, LARGEST * prior.tau2),
        elasticity=_between(noise.elasticity, -ELASTICITY_LARGEST, ELASTICITY_LARGEST),
        elasticity_error=_between(
            noise.elasticity_error, DOUBT_SMALLEST * prior.elasticity_error, DOUBT_LARGEST * prior.elasticity_error
        ),
    )


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
