"""Analysis as a Rollout asks for it: in a step, before or after a promotion, or in the background."""

from typing import Annotated, Literal

import msgspec

from analysis.comparison_spec import ComparisonSettings
from analysis.model_base import Model
from analysis.run_spec import AnalysisRunMetadata
from analysis.spec import DryRun, FieldRef, MeasurementRetention, TemplateRef


class RolloutArgumentValueFrom(Model):
    """Where an argument's value comes from; exactly one of its fields."""

    pod_template_hash_value: Literal["Stable", "Latest"] | None = None
    """The pod-template-hash of the stable or of the latest ReplicaSet."""
    field_ref: FieldRef | None = None
    """A field of the Rollout."""


class RolloutArgument(Model):
    """A value for an argument of the templates."""

    name: str
    """Name of the argument."""
    value: str | None = None
    """Value."""
    value_from: RolloutArgumentValueFrom | None = None
    """Where the value comes from."""


class RolloutAnalysis(Model):
    """An AnalysisRun that a Rollout starts."""

    templates: tuple[TemplateRef, ...] = ()
    """The templates."""
    args: tuple[RolloutArgument, ...] = ()
    """Values for their arguments."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that decide nothing."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements are kept."""
    analysis_run_metadata: AnalysisRunMetadata = AnalysisRunMetadata()
    """Labels and annotations of the AnalysisRun."""


class RolloutAnalysisBackground(RolloutAnalysis):
    """The AnalysisRun that lives as long as the rollout."""

    starting_step: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Index of the step at which it starts; default 0."""
    comparison: ComparisonSettings | None = None
    """Settings of the comparisons of that run (native)."""
