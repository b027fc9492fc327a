"""The Rollout: an application whose new versions get traffic in steps. Fields are Argo Rollouts', v1.9."""

from typing import Annotated, Any, Literal

import msgspec

from analysis.background_spec import RolloutAnalysis, RolloutAnalysisBackground
from analysis.model_base import Model
from rollout.api.meta import Condition, LabelSelector, ObjectMeta
from rollout.api.revert import RevertPolicy
from rollout.api.routing import TrafficRouting
from rollout.api.steps import CanaryStep, PodTemplateMetadata

IntOrPercent = int | str


class ObjectRef(Model):
    """A workload whose pod template is used."""

    api_version: str = ""
    """API version of the workload."""
    kind: str = ""
    """PodTemplate, Deployment or ReplicaSet."""
    name: str = ""
    """Name of the workload."""
    scale_down: Literal["never", "onsuccess", "progressively", ""] = ""
    """When the workload itself is scaled to zero; never by default."""


class RollbackWindow(Model):
    """Going back to a recent revision skips steps and analysis."""

    revisions: int = 0
    """How many revisions back count as recent."""


class PreferredAntiAffinity(Model):
    """Prefer nodes without pods of the other revision."""

    weight: int = 1
    """Weight of the preference, 1 to 100."""


class RequiredAntiAffinity(Model):
    """Never share a node with pods of the other revision."""


class AntiAffinity(Model):
    """Anti-affinity between the pods of two revisions."""

    preferred_during_scheduling_ignored_during_execution: PreferredAntiAffinity | None = None
    """As a preference."""
    required_during_scheduling_ignored_during_execution: RequiredAntiAffinity | None = None
    """As a requirement."""


class PingPong(Model):
    """Two Services that swap the roles of stable and canary."""

    ping_service: str
    """The one Service."""
    pong_service: str
    """The other."""


class ReplicaProgressThreshold(Model):
    """How many pods must be available before a step goes on."""

    type: Literal["Percentage", "Percent", "Pod", "Pods"]
    """Unit of the value."""
    value: int
    """How many."""


class CanaryStrategy(Model):
    """Traffic in steps."""

    canary_service: str = ""
    """Service whose selector points to the canary's pods."""
    stable_service: str = ""
    """Service whose selector points to stable's pods."""
    steps: tuple[CanaryStep, ...] = ()
    """What to do, one after the other. None: promote when the pods are ready."""
    traffic_routing: TrafficRouting | None = None
    """How traffic is split; absent: by the ratio of pods."""
    max_unavailable: IntOrPercent | None = None
    """Pods that may be missing, 25% by default, rounded down."""
    max_surge: IntOrPercent | None = None
    """Pods that may be too many, 25% by default, rounded up."""
    analysis: RolloutAnalysisBackground | None = None
    """Analysis beside all steps."""
    anti_affinity: AntiAffinity | None = None
    """Keep the revisions on different nodes."""
    canary_metadata: PodTemplateMetadata | None = None
    """Labels and annotations of pods while they are the canary."""
    stable_metadata: PodTemplateMetadata | None = None
    """Labels and annotations of pods while they are stable."""
    scale_down_delay_seconds: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """How long old pods stay after promotion, 30 by default (traffic routing only)."""
    scale_down_delay_revision_limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """How many old ReplicaSets may wait for their scale-down."""
    abort_scale_down_delay_seconds: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """How long the canary's pods stay after an abort, 30 by default; 0: for ever (traffic routing only)."""
    dynamic_stable_scale: bool = False
    """Scale stable down as its weight falls (traffic routing only)."""
    ping_pong: PingPong | None = None
    """Two Services that swap roles."""
    min_pods_per_replica_set: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Least number of canary pods once there are any (traffic routing only)."""
    replica_progress_threshold: ReplicaProgressThreshold | None = None
    """Go on before all pods are available."""


class BlueGreenStrategy(Model):
    """All traffic at once, after a preview."""

    active_service: str
    """Service of the live version."""
    preview_service: str = ""
    """Service of the new version before the switch."""
    preview_replica_count: int | None = None
    """Pods of the preview."""
    auto_promotion_enabled: bool | None = None
    """Whether to switch by itself, true by default."""
    auto_promotion_seconds: int = 0
    """Switch by itself after this time, in seconds."""
    max_unavailable: IntOrPercent | None = None
    """Pods that may be missing while restarting, 25% by default."""
    scale_down_delay_seconds: int | None = None
    """How long old pods stay after the switch, 30 by default."""
    scale_down_delay_revision_limit: int | None = None
    """How many old ReplicaSets may wait for their scale-down."""
    abort_scale_down_delay_seconds: int | None = None
    """How long the preview's pods stay after an abort, 30 by default; 0: for ever."""
    pre_promotion_analysis: RolloutAnalysis | None = None
    """Analysis before the switch."""
    post_promotion_analysis: RolloutAnalysis | None = None
    """Analysis after the switch."""
    anti_affinity: AntiAffinity | None = None
    """Keep the revisions on different nodes."""
    preview_metadata: PodTemplateMetadata | None = None
    """Labels and annotations of the preview's pods."""
    active_metadata: PodTemplateMetadata | None = None
    """Labels and annotations of the live pods."""


class RolloutStrategy(Model):
    """Exactly one strategy."""

    canary: CanaryStrategy | None = None
    """Traffic in steps."""
    blue_green: BlueGreenStrategy | None = None
    """All traffic at once, after a preview."""


class AnalysisRunStrategy(Model):
    """How many finished AnalysisRuns are kept."""

    successful_run_history_limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Successful ones, 5 by default."""
    unsuccessful_run_history_limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Others, 5 by default."""


class RolloutSpec(Model):
    """What is wanted."""

    replicas: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Desired pods, 1 by default."""
    selector: LabelSelector | None = None
    """Which pods belong to the Rollout; cannot be changed."""
    template: dict[str, Any] = {}
    """The pods. A change of it is a new revision."""
    workload_ref: ObjectRef | None = None
    """A workload whose pod template is used instead."""
    min_ready_seconds: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How long a pod must be ready before it counts as available, in seconds."""
    rollback_window: RollbackWindow | None = None
    """Going back to a recent revision skips steps and analysis."""
    strategy: RolloutStrategy = RolloutStrategy()
    """How a new revision replaces the old one."""
    revision_history_limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """How many old ReplicaSets are kept, 10 by default."""
    paused: bool = False
    """Halts all progress."""
    progress_deadline_seconds: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """How long a revision may go without progress, 600 by default."""
    progress_deadline_abort: bool = False
    """Abort when the deadline has passed, instead of only saying so."""
    restart_at: str | None = None
    """RFC 3339; pods created before are restarted."""
    analysis: AnalysisRunStrategy | None = None
    """How many finished AnalysisRuns are kept."""
    revert: RevertPolicy | None = None
    """What happens in Git when this rollout fails (Coalmine's own; overrides the Application's, field by field)."""


class PauseCondition(Model):
    """Why and since when a rollout waits."""

    reason: str
    """CanaryPauseStep, InconclusiveAnalysisRun, NoData, SentinelAnomaly, VerifyTimeout, or one of Argo's others."""
    start_time: str
    """RFC 3339."""


class WeightDestination(Model):
    """Where a share of the traffic goes."""

    weight: int = 0
    """Percentage."""
    service_name: str = ""
    """Service."""
    pod_template_hash: str = ""
    """Hash of the pods."""


class TrafficWeights(Model):
    """How the traffic is split."""

    canary: WeightDestination = WeightDestination()
    """The canary's share."""
    stable: WeightDestination = WeightDestination()
    """Stable's share."""
    additional: tuple[WeightDestination, ...] = ()
    """Shares of experiments."""
    verified: bool | None = None
    """Whether the router confirmed them."""


class RolloutAnalysisRunStatus(Model):
    """An AnalysisRun of this rollout."""

    name: str
    """Name of the AnalysisRun."""
    status: str = ""
    """Its phase."""
    message: str = ""
    """Its message."""


class StepPluginStatus(Model):
    """What a step plug-in reported."""

    index: int = 0
    """Index of the step."""
    name: str = ""
    """Name of the plug-in."""
    phase: str = ""
    """Running, Successful, Failed or Error."""
    operation: str = ""
    """Run, Terminate or Abort."""
    message: str = ""
    """Its message."""
    started_at: str | None = None
    """RFC 3339."""
    updated_at: str | None = None
    """RFC 3339."""
    finished_at: str | None = None
    """RFC 3339."""
    backoff: str = ""
    """When to ask again."""
    executions: int = 0
    """How often it ran."""
    disabled: bool = False
    """Whether it is switched off."""
    status: dict[str, Any] = {}
    """State of the plug-in itself."""


class CanaryStatus(Model):
    """Where a canary stands."""

    current_step_analysis_run_status: RolloutAnalysisRunStatus | None = None
    """The analysis of the current step."""
    current_background_analysis_run_status: RolloutAnalysisRunStatus | None = None
    """The analysis beside all steps."""
    current_experiment: str = ""
    """The experiment of the current step."""
    weights: TrafficWeights | None = None
    """How the traffic is split; only with a traffic router."""
    stable_ping_pong: str = ""
    """Which of the two Services is stable."""
    step_plugin_statuses: tuple[StepPluginStatus, ...] = ()
    """What step plug-ins reported."""


class BlueGreenStatus(Model):
    """Where a blue-green update stands."""

    preview_selector: str = ""
    """Hash that the preview Service selects."""
    active_selector: str = ""
    """Hash that the active Service selects."""
    scale_up_preview_check_point: bool = False
    """Whether the preview may have all its pods."""
    pre_promotion_analysis_run_status: RolloutAnalysisRunStatus | None = None
    """Analysis before the switch."""
    post_promotion_analysis_run_status: RolloutAnalysisRunStatus | None = None
    """Analysis after the switch."""


class RolloutDuration(Model):
    """How long the current update took."""

    rollout_started_at: str | None = None
    """RFC 3339."""
    manual_pause_started_at: str | None = None
    """RFC 3339."""
    total_manual_pause_duration_seconds: int = 0
    """Time spent waiting for people, in seconds."""
    finished_at: str | None = None
    """RFC 3339."""
    completion_status: str = ""
    """Promoted, FastPromoted, Aborted, Superseded, RolledBack or FastRolledBack."""


class RolloutStatus(Model):
    """What was observed and decided."""

    abort: bool = False
    """Whether the update is given up. Users set it to abort, and clear it to retry."""
    aborted_at: str | None = None
    """RFC 3339."""
    promote_full: bool = False
    """Skip what is left. Users set it."""
    pause_conditions: tuple[PauseCondition, ...] = ()
    """Why the update waits. Users clear them to promote."""
    controller_pause: bool = False
    """Whether the controller has paused; with no conditions left: a user resumed."""
    current_pod_hash: str = ""
    """Hash of the wanted pod template."""
    current_step_hash: str = ""
    """Hash of the steps."""
    current_step_index: int | None = None
    """Index of the current step."""
    current_step_started_at: str | None = None
    """RFC 3339; when the current step began (Coalmine's own)."""
    stable_rs: str = msgspec.field(default="", name="stableRS")
    """Hash of the version that took over last."""
    replicas: int = 0
    """Pods of all revisions."""
    updated_replicas: int = 0
    """Pods of the wanted revision."""
    ready_replicas: int = 0
    """Ready pods."""
    available_replicas: int = 0
    """Available pods."""
    hpa_replicas: int = msgspec.field(default=0, name="HPAReplicas")
    """Pods that an autoscaler counts."""
    selector: str = ""
    """Label selector of the pods an autoscaler counts."""
    collision_count: int | None = None
    """How often the hash had to be changed."""
    observed_generation: int = 0
    """Generation of the spec that this status is about."""
    conditions: tuple[Condition, ...] = ()
    """Available, Progressing, Paused, Completed, Healthy, InvalidSpec, ReplicaFailure."""
    phase: str = ""
    """Healthy, Progressing, Paused or Degraded."""
    message: str = ""
    """Why, in one sentence."""
    canary: CanaryStatus = CanaryStatus()
    """Where a canary stands."""
    blue_green: BlueGreenStatus = BlueGreenStatus()
    """Where a blue-green update stands."""
    restarted_at: str | None = None
    """RFC 3339; pods created before were restarted."""
    workload_observed_generation: str = ""
    """Generation of the referenced workload."""
    alb: dict[str, Any] | None = None
    """Load balancer and target groups (ALB)."""
    albs: tuple[dict[str, Any], ...] = ()
    """Load balancers and target groups (ALB)."""
    duration: RolloutDuration = RolloutDuration()
    """How long the current update took."""


class Rollout(Model):
    """An application whose new versions get traffic in steps, and are taken back in Git when they fail."""

    metadata: ObjectMeta = ObjectMeta()
    """Standard object metadata."""
    spec: RolloutSpec = RolloutSpec()
    """What is wanted."""
    status: RolloutStatus = RolloutStatus()
    """What was observed and decided."""
