"""How much pods differ without anybody's fault, and how a metric depends on load."""

from dataclasses import dataclass
from typing import Literal

PRIOR_WINDOW_SECONDS = 30.0

Kind = Literal["Counts", "Typical", "Tail", "Level", "Growth", "Usage"]


@dataclass(frozen=True)
class Noise:
    """Variances of the logarithm of what one pod shows, and its dependence on load.

    Attributes:
        omega2: long-run variance in one window: what differs from window to window. The sum of all
            autocovariances, so that noise which lasts for minutes is not taken for many independent pieces.
        tau2: variance of what lasts: a slow node, a noisy neighbour. Of Growth: of the slope an hour.
        elasticity: change of the metric's logarithm by that of the load of a pod.
        elasticity_error: its standard error.
        usage: of a Usage, what a second of pod life and what a unit of load use; None where that is not known.
        source: `priors`, or the digest of the FailureModel it was learned in.
    """

    omega2: float
    tau2: float
    elasticity: float = 0.0
    elasticity_error: float = 0.0
    usage: tuple[float, float] | None = None
    source: str = "priors"

    @property
    def certified(self) -> bool:
        """Whether it was learned from the service's own history."""
        return self.source != "priors"


PRIORS: dict[Kind, Noise] = {
    "Counts": Noise(0.55, 0.04, elasticity_error=0.1),
    "Typical": Noise(0.02, 0.0025, elasticity_error=0.05),
    "Tail": Noise(0.30, 0.02, elasticity_error=0.2),
    "Level": Noise(0.02, 0.0025),
    "Growth": Noise(0.01, 0.0004),
    "Usage": Noise(0.02, 0.0025),
}
"""For windows of 30 s, the same for everybody: larger than what was seen of most services, so that few are surprised.

Counts: between windows a pod's rate of errors differs by a factor of two, and lasting by 20 %. Typical latency, levels
and usage: 14 % and 5 %; slopes: 2 % an hour.
"""


def prior_noise(interval_seconds: float, kind: Kind = "Counts") -> Noise:
    """Return the noise that holds without a FailureModel, for windows of this length.

    The variance of a mean over time falls with its length, so omega2 is scaled by 30 s / interval.
    """
    prior = PRIORS[kind]
    return Noise(
        prior.omega2 * PRIOR_WINDOW_SECONDS / interval_seconds,
        prior.tau2,
        elasticity=prior.elasticity,
        elasticity_error=prior.elasticity_error,
    )
