"""What a run's life cycle sees, and what it decides. Values only."""

from dataclasses import dataclass

from analysis.judgement import Judgement
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus
from analysis.verdict import AnalysisPhase


@dataclass(frozen=True)
class MetricMeasured:
    """A finished measurement of an ordinary metric; times in epoch seconds.

    Attributes:
        phase: Successful, Failed, Inconclusive or Error, by the metric's conditions.
        value: the provider's value, as text.
        message: why, where it did not succeed.
    """

    metric: str
    started_at: float
    finished_at: float
    phase: AnalysisPhase
    value: str = ""
    message: str = ""


@dataclass(frozen=True)
class RunWorld:
    """Everything that decides about one AnalysisRun.

    Attributes:
        measured: finished measurements, whether or not the status has them already.
        judgement: the latest answer of the judge; None before the first look.
        in_flight: names of ordinary metrics being measured now.
        looking: whether a look at the comparisons is under way.
        native: coalmine.dev; False in the argoproj.io dialect, where a run that was terminated
            before anything was measured is Successful.
        problem: why the run cannot be measured at all; empty where it can.
        largest_log_evidence: of all looks since the operator began; None before the first one.
    """

    spec: AnalysisRunSpec
    status: AnalysisRunStatus
    measured: tuple[MetricMeasured, ...] = ()
    judgement: Judgement | None = None
    in_flight: frozenset[str] = frozenset()
    looking: bool = False
    native: bool = True
    problem: str = ""
    largest_log_evidence: float | None = None


@dataclass(frozen=True)
class MeasurementDue:
    """An ordinary metric to be measured now."""

    metric: str


@dataclass(frozen=True)
class LookDue:
    """The comparisons are to be judged now, all of them together."""


@dataclass(frozen=True)
class RunEvent:
    """Something a user is told: `reason` is one word, `message` a sentence."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True)
class RunDecision:
    """What is to happen.

    Attributes:
        status: the status to publish; equal to the old one where a user would see no difference.
        due: measurements to start now.
        wake_at: epoch seconds of the next turn that is needed without news; None once the run has ended.
    """

    status: AnalysisRunStatus
    due: tuple[MeasurementDue | LookDue, ...] = ()
    wake_at: float | None = None
    events: tuple[RunEvent, ...] = ()
