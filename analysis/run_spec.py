"""AnalysisRun: spec and status. Argo's fields; `comparison` is native."""

from typing import Annotated, Literal

import msgspec

from analysis.comparison_spec import FailureModelRef, Percent
from analysis.model_base import Model
from analysis.spec import Argument, DryRun, MeasurementRetention, Metric
from analysis.verdict import AnalysisPhase, Verdict

WEIGHTS_ANNOTATION = "coalmine.dev/weights"
"""Timeline of the canary's weight, appended by the Rollout controller: `2026-11-22T10:00:10Z=5,...=25`."""


class TtlStrategy(Model):
    """When a finished run is deleted."""

    seconds_after_completion: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds after the end, however it ended."""
    seconds_after_failure: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds after a failure."""
    seconds_after_success: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds after a success."""


class Arm(Model):
    """One side of a comparison."""

    pod_template_hash: str = ""
    """Value of the label rollouts-pod-template-hash."""
    pods: str = ""
    """Regular expression that matches the arm's pod names, dead pods included."""
    service: str = ""
    """The Service that selects the arm."""


class Arms(Model):
    """Both sides of a comparison."""

    canary: Arm = Arm()
    """The new revision."""
    stable: Arm = Arm()
    """The revision it is compared with."""


class PinnedFailureModel(FailureModelRef):
    """The FailureModel of a run, fixed at its start."""

    digest: str = ""
    """Digest of its canonical spec."""


class RunComparison(Model):
    """Settings of all comparisons of this run."""

    false_rollback_budget: Percent = "1%"
    """Probability of rolling back a release that does no harm, for the whole run."""
    warm_up: str = "3m"
    """Pods younger than this do not count, in both arms."""
    weight_increases: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    """How often the rollout's steps raise the canary's weight; later raises get their part of the budget."""
    progress_deadline_seconds: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Within so many seconds a pod of the canary has to be ready, or the run fails; of a Rollout that aborts by it."""
    failure_model: PinnedFailureModel | None = None
    """Learned noise, pinned for the whole run; absent: priors."""
    arms: Arms = Arms()
    """What is compared."""


class AnalysisRunSpec(Model):
    """What one run measures."""

    metrics: tuple[Metric, ...]
    """The metrics, templates flattened."""
    args: tuple[Argument, ...] = ()
    """Arguments with their values."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that decide nothing."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements are kept."""
    terminate: bool = False
    """Ends the run; what was measured counts."""
    ttl_strategy: TtlStrategy | None = None
    """When the finished run is deleted."""
    comparison: RunComparison | None = None
    """Settings of the comparisons (native)."""


class Measurement(Model):
    """One measurement of a metric."""

    phase: AnalysisPhase
    """What it said."""
    message: str = ""
    """Why, where it did not succeed."""
    started_at: str = ""
    """RFC 3339."""
    finished_at: str = ""
    """RFC 3339."""
    value: str = ""
    """The value, as text."""
    metadata: dict[str, str] = {}
    """Further facts of the provider."""
    resume_at: str = ""
    """When an unfinished measurement is looked at again."""


class ArmCounts(Model):
    """What one arm contributed to a comparison."""

    events: str = "0"
    """Number of events."""
    total: str = "0"
    """Number of all, or pod-seconds."""
    pods: int = 0
    """Number of pods that contributed."""


class Interval(Model):
    """A 95 % interval of canary/stable that holds at every look."""

    lower: str
    """Lower end, a ratio."""
    upper: str
    """Upper end, a ratio."""


class MetricComparison(Model):
    """What a comparison found for one metric."""

    ratio: str = ""
    """Canary/stable; empty while unknown."""
    interval: Interval | None = None
    """95 % interval of the ratio, valid at every look."""
    evidence: str = ""
    """Odds against no harm from this metric alone."""
    budget_share: str = ""
    """Its share of the false-rollback budget, all shares of the run being 1."""
    canary: ArmCounts | None = None
    """What the canary contributed."""
    stable: ArmCounts | None = None
    """What stable contributed."""
    certified: bool = False
    """Whether the noise was learned from history; priors otherwise."""
    proven: bool = False
    """Whether worse than the tolerance is excluded at the present weight."""
    data_state: Literal["", "WarmingUp", "Collecting", "NoData"] = ""
    """WarmingUp until pods are old enough, Collecting while data arrive, NoData after 5 empty windows."""
    no_data_since: str = ""
    """RFC 3339; since when nothing arrives, while dataState is NoData."""


class MetricResult(Model):
    """State of one metric."""

    name: str
    """Name of the metric."""
    phase: AnalysisPhase
    """Its phase."""
    measurements: tuple[Measurement, ...] = ()
    """The latest measurements, oldest first."""
    message: str = ""
    """Why, where it did not succeed."""
    count: int = 0
    """Measurements without errors."""
    successful: int = 0
    """Successful measurements."""
    failed: int = 0
    """Failed measurements."""
    inconclusive: int = 0
    """Inconclusive measurements."""
    error: int = 0
    """Measurements that ended in an error."""
    consecutive_error: int = 0
    """Errors since the last measurement that had none."""
    consecutive_success: int = 0
    """Successes since the last measurement that was none."""
    dry_run: bool = False
    """Whether it decides nothing."""
    metadata: dict[str, str] = {}
    """Facts of the provider, such as the resolved query."""
    comparison: MetricComparison | None = None
    """What the comparison found (native)."""


class RunSummary(Model):
    """How many metrics ended how."""

    count: int = 0
    """Number of metrics."""
    successful: int = 0
    """Successful ones."""
    failed: int = 0
    """Failed ones."""
    inconclusive: int = 0
    """Inconclusive ones."""
    error: int = 0
    """Ones that ended in an error."""


class RuledOut(Model):
    """Harm that the data exclude."""

    metric: str
    """Name of the metric."""
    worse_than: str
    """Worse than this is excluded."""


class ShadowComparison(Model):
    """What a FailureModel in mode Shadow would have said; it decides nothing."""

    digest: str
    """Digest of the model."""
    verdict: Verdict
    """Its verdict."""
    evidence: str = ""
    """Odds against no harm."""
    evidence_limit: str = ""
    """Odds at which it would fail the run."""


class SentinelComparison(Model):
    """What the FailureModel's anomaly detector says of a run."""

    message: str
    """What it watches by, or the first anomaly: how large, and which metrics drove it."""
    anomaly_at: str = ""
    """RFC 3339; when the first anomaly was seen. Absent while there is none."""
    action: Literal["", "Report", "Pause", "Fail"] = ""
    """What that anomaly did."""


class RunComparisonStatus(Model):
    """What the comparisons of a run found together."""

    verdict: Verdict | None = None
    """FAIL once the evidence passed the limit; PASS while every tolerance is proven; else INCONCLUSIVE."""
    evidence: str = ""
    """Odds against no harm, all metrics together."""
    evidence_limit: str = ""
    """Odds at which the run fails: one over the budget."""
    certified: bool = False
    """Whether the noise of every metric was learned from history."""
    ruled_out: tuple[RuledOut, ...] = ()
    """Tolerances proven at the present weight."""
    proven_at_weight: int | None = None
    """The weight at which every tolerance is proven, as `verify` needs; absent while it is not."""
    no_data_since: str = ""
    """RFC 3339; while a metric has no data the rollout pauses, and goes on by itself when data return."""
    problems: tuple[str, ...] = ()
    """What is wrong with the data, one sentence each."""
    record_digest: str = ""
    """Digest of the record that replays to this verdict, kept when the run ends; absent where none was kept."""
    largest_log_evidence: str = ""
    """The largest natural logarithm that the odds against no harm had at any look."""
    shadow: ShadowComparison | None = None
    """What the model in mode Shadow says beside, where the run pinned one."""
    sentinel: SentinelComparison | None = None
    """What the model's anomaly detector says, where it has one; the first anomaly stays."""


class AnalysisRunStatus(Model):
    """State of a run."""

    phase: AnalysisPhase = AnalysisPhase.PENDING
    """Its phase; the worst of its metrics' phases."""
    message: str = ""
    """Why, where it did not succeed."""
    metric_results: tuple[MetricResult, ...] = ()
    """State of each metric."""
    started_at: str = ""
    """RFC 3339."""
    completed_at: str = ""
    """RFC 3339."""
    run_summary: RunSummary = RunSummary()
    """How many metrics ended how, dry-run ones left out."""
    dry_run_summary: RunSummary | None = None
    """How many dry-run metrics ended how."""
    comparison: RunComparisonStatus | None = None
    """What the comparisons found together (native)."""


class AnalysisRunMetadata(Model):
    """Labels and annotations of the runs."""

    labels: dict[str, str] = {}
    """Labels."""
    annotations: dict[str, str] = {}
    """Annotations."""
