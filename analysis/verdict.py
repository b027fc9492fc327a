"""The words in which the analysis answers. Standard library only: the pure domain imports this module."""

from enum import StrEnum


class Verdict(StrEnum):
    """What the evidence says of a canary."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class AnalysisPhase(StrEnum):
    """Argo's six phases of an AnalysisRun or a metric."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"

    @property
    def completed(self) -> bool:
        """True once the phase can no longer change."""
        return self not in {AnalysisPhase.PENDING, AnalysisPhase.RUNNING}


# Argo's order of badness (analysis/analysis.go of Argo Rollouts): the worst metric gives a run its phase.
_BADNESS = (
    AnalysisPhase.SUCCESSFUL,
    AnalysisPhase.RUNNING,
    AnalysisPhase.PENDING,
    AnalysisPhase.INCONCLUSIVE,
    AnalysisPhase.ERROR,
    AnalysisPhase.FAILED,
)


def worst(*phases: AnalysisPhase) -> AnalysisPhase:
    """Return the worst of the phases; Successful of none."""
    return max(phases, key=_BADNESS.index, default=AnalysisPhase.SUCCESSFUL)
