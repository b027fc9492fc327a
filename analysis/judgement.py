"""What a judge answers: values without numpy, so that the life cycle of a run can read them."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from analysis.sentinel_seen import SentinelSeen
from analysis.verdict import Verdict

Action = Literal["", "Report", "Pause", "Fail"]
"""What an anomaly did at a look."""


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
class PartJudgement:
    """What the data say of one part of a metric, such as the requests slower than a bound.

    Attributes:
        label: empty where the metric has one part only.
        ratio: estimate of canary/stable; of Growth, of what an hour multiplies them by; None while unknown.
        lower: lower end of its 95 % interval, valid at every look.
        upper: upper end.
        log_evidence: natural logarithm of the odds against no harm from this part alone.
        budget_share: its share of the false-rollback budget; 0 in a dry run.
        tolerance: the worsening that `verify` wants excluded, as a ratio (0.5 is 50 %); None where not asked.
        proven: whether worse than the tolerance is excluded at the present weight.
    """

    label: str
    ratio: float | None = None
    lower: float | None = None
    upper: float | None = None
    log_evidence: float = 0.0
    budget_share: float = 0.0
    canary: ArmTotals = ArmTotals()
    stable: ArmTotals = ArmTotals()
    tolerance: float | None = None
    proven: bool = False


@dataclass(frozen=True)
class MetricJudgement:
    """What the data say of one metric; figures of several parts are those of the part with most evidence.

    Attributes:
        family: Counts, Histogram, Level, Growth or Usage.
        direction: what is harm: Increase, Decrease or Either.
        unit: what is counted in `canary` and `stable`: requests, pod-seconds, or the load of a Usage.
        ratio: estimate of canary/stable; None while unknown.
        lower: lower end of its 95 % interval, valid at every look.
        upper: upper end.
        log_evidence: natural logarithm of the odds against no harm from this metric alone.
        budget_share: its share of the false-rollback budget; 0 in a dry run.
        tolerance: the worsening that `verify` wants excluded, as a ratio (0.5 is 50 %); None where not asked.
        proven: whether worse than the tolerance is excluded at the present weight, in every part.
        guard: the hard guard or limit that fired, as a sentence; empty where none did.
        no_data_since: epoch seconds, while the state is NoData.
        blocked: whether the comparison itself is unsound, such as by traffic that does not arrive; it proves nothing.
        parts: what each part says; the leading one first.
    """

    name: str
    state: DataState
    family: str = "Counts"
    direction: str = "Increase"
    unit: str = "requests"
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
    blocked: bool = False
    parts: tuple[PartJudgement, ...] = ()

    @property
    def worst_part(self) -> str:
        """Label of the part that carries most of the evidence; empty where there is one part only."""
        parts = [part for part in self.parts if part.budget_share > 0] or list(self.parts)
        return max(parts, key=_weighted).label if len(parts) > 1 else ""


def _weighted(judged: PartJudgement | MetricJudgement) -> float:
    return judged.log_evidence + math.log(max(judged.budget_share, 1e-300))


@dataclass(frozen=True)
class ShadowJudgement:
    """What a model that is only tried beside would have said at the same look; it decides nothing.

    Attributes:
        digest: of the model.
    """

    digest: str
    verdict: Verdict
    log_evidence: float
    log_limit: float


@dataclass(frozen=True)
class Judgement:
    """What all comparisons of a run say together, at one look.

    Attributes:
        at: epoch seconds of the look.
        verdict: FAIL once the evidence passed the limit or a guard fired; PASS while every tolerance is proven.
        log_evidence: natural logarithm of the odds against no harm; all metrics, looks and steps.
        log_limit: the run fails from here on; the logarithm of one over the budget, or more by calibration.
        log_combined: the part of the evidence that many small harms together have, as log odds.
        combined_share: its share of the budget.
        weight_percent: the canary's weight that was looked at; None where no timeline is known.
        proven: whether every metric with a tolerance is proven at that weight, and there is one.
        explanation: one sentence that a person can act on.
        record_digest: digest of the record that replays to this judgement; empty where none was kept.
        shadow: what a model in mode Shadow says beside; None without one.
        sentinel: what the model's anomaly detector saw; None without one, or while there is nothing to see.
        anomaly: what that did; empty where it is no anomaly. A verdict FAIL with "Fail" is the sentinel's own.
    """

    at: float
    verdict: Verdict
    log_evidence: float
    log_limit: float
    metrics: tuple[MetricJudgement, ...]
    log_combined: float = 0.0
    combined_share: float = 0.0
    certified: bool = False
    weight_percent: int | None = None
    proven: bool = False
    explanation: str = ""
    record_digest: str = ""
    shadow: ShadowJudgement | None = None
    sentinel: SentinelSeen | None = None
    anomaly: Action = ""

    @property
    def culprit(self) -> str:
        """Name of the metric that a failure is owed to: a guard's, the sentinel's, or most of the evidence's."""
        acting = [metric for metric in self.metrics if not metric.dry_run] or list(self.metrics)
        if self.anomaly == "Fail" and self.sentinel is not None and self.sentinel.drivers:
            driver = self.sentinel.drivers[0].of(metric.name for metric in acting)
            if driver:
                return driver
        guarded = [metric.name for metric in acting if metric.guard]
        return guarded[0] if guarded else max(acting, key=_weighted).name
