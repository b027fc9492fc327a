"""What a user writes about metrics in an AnalysisTemplate: Argo's fields, and `comparison`."""

from typing import Annotated

import msgspec

from analysis.comparison_spec import Comparison
from analysis.model_base import Model
from analysis.provider_spec import MetricProvider


class SecretKeyRef(Model):
    """One key of a Secret in the same namespace."""

    name: str
    """Name of the Secret."""
    key: str
    """Key in it."""


class FieldRef(Model):
    """A field of the Rollout."""

    field_path: str
    """Path of the field, such as metadata.labels['region'] or status.alb.canaryTargetGroup.name."""


class ValueFrom(Model):
    """Where an argument's value comes from; exactly one of its fields."""

    secret_key_ref: SecretKeyRef | None = None
    """A key of a Secret; read at each measurement and never written into an object."""
    field_ref: FieldRef | None = None
    """A field of the Rollout."""


class Argument(Model):
    """An argument of a template; one without a value must be given by whoever uses the template."""

    name: str
    """Name, for {{args.name}}."""
    value: str | None = None
    """Value, or the default."""
    value_from: ValueFrom | None = None
    """Where the value comes from."""


class DryRun(Model):
    """Metrics that are measured and reported and decide nothing."""

    metric_name: str
    """Regular expression that must match a metric's whole name."""


class MeasurementRetention(Model):
    """How many measurements of a metric are kept."""

    metric_name: str
    """Regular expression that must match a metric's whole name."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    """Number of measurements kept; default 10."""


class TemplateRef(Model):
    """Another template."""

    template_name: str
    """Name of the AnalysisTemplate or ClusterAnalysisTemplate."""
    cluster_scope: bool = False
    """Refers to a ClusterAnalysisTemplate."""


class Metric(Model):
    """One metric: either Argo's conditions, counts and limits, or a comparison."""

    name: str
    """Name, unique in a run."""
    provider: MetricProvider
    """Where its data come from."""
    interval: str = ""
    """Time between measurements, as a duration; of a comparison also one window of evidence."""
    initial_delay: str = ""
    """Time before the first measurement, as a duration."""
    count: int | str | None = None
    """Number of measurements; default 1 without interval, else unlimited."""
    success_condition: str = ""
    """Expression over `result` that says good."""
    failure_condition: str = ""
    """Expression over `result` that says bad."""
    failure_limit: int | str | None = None
    """How many failures are allowed; default 0; -1 disables."""
    inconclusive_limit: int | str | None = None
    """How many inconclusive measurements are allowed; default 0."""
    consecutive_error_limit: int | str | None = None
    """How many errors in a row are allowed; default 4."""
    consecutive_success_limit: int | str | None = None
    """Successful once so many measurements in a row were; default off."""
    comparison: Comparison | None = None
    """Live comparison of the canary with stable (native)."""


class AnalysisTemplateSpec(Model):
    """Metrics, their arguments, and other templates to include."""

    metrics: tuple[Metric, ...] = ()
    """The metrics."""
    args: tuple[Argument, ...] = ()
    """Arguments, with defaults."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that decide nothing."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements are kept."""
    templates: tuple[TemplateRef, ...] = ()
    """Templates whose metrics and arguments are included."""
