"""The steps of a canary. Exactly one field of a step is set."""

from typing import Annotated, Any, Literal

import msgspec

from analysis.background_spec import RolloutAnalysis, RolloutArgument
from analysis.model_base import Model
from analysis.run_spec import AnalysisRunMetadata
from analysis.spec import DryRun
from rollout.api.meta import LabelSelector


class Pause(Model):
    """Wait before the next step."""

    duration: int | str | None = None
    """Seconds, or a duration such as "10m"; absent: until somebody promotes."""


class Verify(Model):
    """Leave as soon as harm beyond every tolerance of the background analysis is excluded (Coalmine's own)."""

    timeout: int | str | None = None
    """Give up after this time; absent: wait for the proof."""
    on_timeout: Literal["Pause", "Continue", "Abort"] = "Pause"
    """What to do when the proof did not come in time."""


class SetCanaryScale(Model):
    """The number of canary pods, apart from the weight (traffic routing only)."""

    weight: int | None = None
    """As a percentage of spec.replicas."""
    replicas: int | None = None
    """As a number of pods."""
    match_traffic_weight: bool = False
    """Follow the weight again."""


class StringMatch(Model):
    """How a string is compared; exactly one field."""

    exact: str = ""
    """Equal."""
    prefix: str = ""
    """Begins with."""
    regex: str = ""
    """Matches the regular expression."""


class HeaderRoutingMatch(Model):
    """A header that a request must carry."""

    header_name: str
    """Name of the header."""
    header_value: StringMatch | None = None
    """Its value."""


class SetHeaderRoute(Model):
    """Requests with these headers go to the canary."""

    name: str = ""
    """Name of a managed route."""
    match: tuple[HeaderRoutingMatch, ...] = ()
    """Headers; none removes the route."""


class MirrorMatch(Model):
    """Which requests are mirrored."""

    method: StringMatch | None = None
    """HTTP method."""
    path: StringMatch | None = None
    """Path."""
    headers: dict[str, StringMatch] = {}
    """Headers by name."""


class SetMirrorRoute(Model):
    """A copy of these requests goes to the canary; its answers are thrown away."""

    name: str = ""
    """Name of a managed route."""
    match: tuple[MirrorMatch, ...] = ()
    """Requests; none removes the route."""
    percentage: int | None = None
    """Which share is mirrored; all by default."""


class PluginStep(Model):
    """A step plug-in: a Python entry point of the group coalmine.steps."""

    name: str
    """Name of the plug-in."""
    config: dict[str, Any] = {}
    """Its configuration."""


class TemplateService(Model):
    """A Service for the pods of an experiment's template."""

    name: str = ""
    """Name; the ReplicaSet's by default."""


class PodTemplateMetadata(Model):
    """Labels and annotations for pods."""

    labels: dict[str, str] = {}
    """Labels."""
    annotations: dict[str, str] = {}
    """Annotations."""


class StepExperimentTemplate(Model):
    """Pods that an experiment step runs."""

    name: str
    """Name of the template."""
    spec_ref: Literal["canary", "stable"]
    """Which pod template is used."""
    replicas: int | None = None
    """Number of pods, 1 by default."""
    metadata: PodTemplateMetadata | None = None
    """Further labels and annotations."""
    selector: LabelSelector | None = None
    """Selector, the Rollout's by default."""
    weight: int | None = None
    """Share of live traffic."""
    service: TemplateService | None = None
    """A Service of its own."""


class StepExperimentAnalysis(Model):
    """An analysis of an experiment step."""

    name: str
    """Name of the analysis."""
    template_name: str
    """Name of the template."""
    cluster_scope: bool = False
    """Whether it is a ClusterAnalysisTemplate."""
    args: tuple[RolloutArgument, ...] = ()
    """Arguments of the template."""
    required_for_completion: bool = False
    """Whether the experiment waits for it."""


class StepExperiment(Model):
    """Run an experiment and wait for it."""

    templates: tuple[StepExperimentTemplate, ...]
    """Pods to run."""
    duration: str = ""
    """How long; absent: until the analyses end."""
    analyses: tuple[StepExperimentAnalysis, ...] = ()
    """Analyses to run beside."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that are measured and never acted on."""
    analysis_run_metadata: AnalysisRunMetadata | None = None
    """Labels and annotations for the AnalysisRuns."""
    scale_down_delay_seconds: int | None = None
    """How long pods stay after the end, in seconds."""


class StepAnalysis(RolloutAnalysis):
    """Run an analysis and wait for it."""


class CanaryStep(Model):
    """One step; exactly one field is set."""

    set_weight: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Percentage of the traffic for the canary, 0 to 100 (or maxTrafficWeight)."""
    pause: Pause | None = None
    """Wait."""
    verify: Verify | None = None
    """Wait for the background analysis' proof of no harm (Coalmine's own)."""
    experiment: StepExperiment | None = None
    """Run an experiment."""
    analysis: StepAnalysis | None = None
    """Run an analysis."""
    set_canary_scale: SetCanaryScale | None = None
    """Number of canary pods."""
    set_header_route: SetHeaderRoute | None = None
    """Route by headers."""
    set_mirror_route: SetMirrorRoute | None = None
    """Mirror requests."""
    plugin: PluginStep | None = None
    """Run a step plug-in."""
