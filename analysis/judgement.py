"""What a judge answers: values without numpy, so that the life cycle of a run can read them."""

from dataclasses import dataclass
from enum import StrEnum

from analysis.verdict import Verdict


class DataState(StrEnum):
    """Whether a metric has data to judge."""

    WARMING_UP = "WarmingUp"
    COLLECTING = "Collecting"
    NO_DATA = "NoData"


@dataclass(frozen=True)
class WeightChange:
    """The canary's weight from a moment on; `at` in epoch seconds, `percent` 0 to 100."""

    at: float
    percent: int


@dataclass(frozen=True)
class ArmTotals:
    """What one arm contributed: events, total (requests or pod-seconds), pods."""

    events: float = 0.0
    total: float = 0.0
    pods: int = 0


@dataclass(frozen=True)
class MetricJudgement:
    """What the data say of one metric.

    Attributes:
        ratio: estimate of canary/stable; None while unknown.
        lower: lower end of its 95 % interval, valid at every look.
        upper: upper end.
        log_evidence: natural logarithm of the odds against no harm from this metric alone.
        budget_share: its share of the false-rollback budget; 0 in a dry run.
        tolerance: the worsening that `verify` wants excluded, as a ratio (0.5 is 50 %); None where not asked.
        proven: whether worse than the tolerance is excluded at the present weight.
        guard: the hard guard or limit that fired, as a sentence; empty where none did.
        no_data_since: epoch seconds, while the state is NoData.
    """

    name: str
    state: DataState
    ratio: float | None = None
    lower: float | None = None
    upper: float | None = None
    log_evidence: float = 0.0
    budget_share: float = 0.0
    canary: ArmTotals = ArmTotals()
    stable: ArmTotals = ArmTotals()
    certified: bool = False
    tolerance: float | None = None
    proven: bool = False
    guard: str = ""
    dry_run: bool = False
    no_data_since: float | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What all comparisons of a run say together, at one look.

    Attributes:
        at: epoch seconds of the look.
        verdict: FAIL once the evidence passed the limit or a guard fired; PASS while every tolerance is proven.
        log_evidence: natural logarithm of the odds against no harm; all metrics, looks and steps.
        log_limit: the run fails from here on; the logarithm of one over the budget.
        weight_percent: the canary's weight that was looked at; None where no timeline is known.
        proven: whether every metric with a tolerance is proven at that weight, and there is one.
        explanation: one sentence that a person can act on.
        record_digest: digest of the record that replays to this judgement; empty where none was kept.
    """

    at: float
    verdict: Verdict
    log_evidence: float
    log_limit: float
    metrics: tuple[MetricJudgement, ...]
    certified: bool = False
    weight_percent: int | None = None
    proven: bool = False
    explanation: str = ""
    record_digest: str = ""
