"""How much pods differ without anybody's fault."""

from dataclasses import dataclass

PRIOR_WINDOW_SECONDS = 30.0
PRIOR_OMEGA2 = 0.55
PRIOR_TAU2 = 0.04


@dataclass(frozen=True)
class Noise:
    """Variance of the logarithm of a pod's rate.

    Attributes:
        omega2: long-run variance in one window: what differs from window to window.
        tau2: variance of what lasts: a slow node, a noisy neighbour.
        source: `priors`, or the digest of the FailureModel it was learned in.
    """

    omega2: float
    tau2: float
    source: str = "priors"

    @property
    def certified(self) -> bool:
        """Whether it was learned from the service's own history."""
        return self.source != "priors"


def prior_noise(interval_seconds: float) -> Noise:
    """Return the noise that holds without a FailureModel, for windows of this length.

    The variance of a mean over time falls with its length, so omega2 is scaled by 30 s / interval.
    """
    return Noise(PRIOR_OMEGA2 * PRIOR_WINDOW_SECONDS / interval_seconds, PRIOR_TAU2)
