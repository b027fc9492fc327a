"""Experiment: pods of several versions side by side for a time. Fields are Argo Rollouts'."""

from typing import Annotated, Any

import msgspec

from analysis.model_base import Model
from analysis.run_spec import AnalysisRunMetadata
from analysis.spec import Argument, DryRun, MeasurementRetention
from rollout.api.meta import Condition, LabelSelector, ObjectMeta
from rollout.api.steps import TemplateService


class ExperimentTemplate(Model):
    """Pods of one version."""

    selector: LabelSelector
    """Which pods belong to the template."""
    name: str
    """Name of the template."""
    replicas: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Number of pods, 1 by default."""
    min_ready_seconds: int = 0
    """How long a pod must be ready before it counts as available, in seconds."""
    template: dict[str, Any] = {}
    """The pods."""
    service: TemplateService | None = None
    """A Service of its own."""


class ExperimentAnalysis(Model):
    """An analysis of the experiment."""

    name: str
    """Name of the analysis."""
    template_name: str
    """Name of the template."""
    cluster_scope: bool = False
    """Whether it is a ClusterAnalysisTemplate."""
    args: tuple[Argument, ...] = ()
    """Arguments of the template."""
    required_for_completion: bool = False
    """Whether the experiment waits for it."""


class ExperimentSpec(Model):
    """What is wanted."""

    templates: tuple[ExperimentTemplate, ...]
    """Pods to run."""
    duration: str = ""
    """How long; absent: until the analyses end."""
    progress_deadline_seconds: int | None = None
    """How long the pods may take to become available, 600 by default."""
    terminate: bool = False
    """Ends the experiment."""
    analyses: tuple[ExperimentAnalysis, ...] = ()
    """Analyses to run beside."""
    scale_down_delay_seconds: int | None = None
    """How long pods stay after the end, 30 by default."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that are measured and never acted on."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements are kept."""
    analysis_run_metadata: AnalysisRunMetadata | None = None
    """Labels and annotations for the AnalysisRuns."""


class TemplateStatus(Model):
    """State of one template."""

    name: str
    """Name of the template."""
    replicas: int = 0
    """Pods."""
    updated_replicas: int = 0
    """Pods of the wanted template."""
    ready_replicas: int = 0
    """Ready pods."""
    available_replicas: int = 0
    """Available pods."""
    collision_count: int | None = None
    """How often the hash had to be changed."""
    pod_template_hash: str = ""
    """Hash of the pods."""
    service_name: str = ""
    """Service of the template."""
    status: str = ""
    """Phase of the template."""
    message: str = ""
    """Why."""
    last_transition_time: str = ""
    """RFC 3339."""


class ExperimentAnalysisRunStatus(Model):
    """State of one analysis."""

    name: str
    """Name of the analysis."""
    analysis_run: str = ""
    """Name of the AnalysisRun."""
    phase: str = ""
    """Its phase."""
    message: str = ""
    """Its message."""


class ExperimentStatus(Model):
    """What was observed and decided."""

    phase: str = ""
    """Phase of the experiment."""
    message: str = ""
    """Why."""
    available_at: str | None = None
    """RFC 3339; when all pods became available."""
    template_statuses: tuple[TemplateStatus, ...] = ()
    """State of each template."""
    analysis_runs: tuple[ExperimentAnalysisRunStatus, ...] = ()
    """State of each analysis."""
    conditions: tuple[Condition, ...] = ()
    """Progressing and InvalidExperimentSpec."""


class Experiment(Model):
    """Pods of several versions side by side for a time, with analyses."""

    spec: ExperimentSpec
    """What is wanted."""
    metadata: ObjectMeta = ObjectMeta()
    """Standard object metadata."""
    status: ExperimentStatus = ExperimentStatus()
    """What was observed and decided."""
