"""FailureModel: noise, calibration and sentinel learned from a service's history. Decimals are strings."""

from typing import Annotated, Literal

import msgspec

from analysis.comparison_spec import FailureModelRef, Percent
from analysis.model_base import Model


class TrainingProvenance(Model):
    """What the model was learned from."""

    # Named `from` in the manifest, which is a keyword in Python.
    from_: str = msgspec.field(default="", name="from")
    """Start of the history, RFC 3339."""
    to: str = ""
    """End of the history, RFC 3339."""
    segments: int = 0
    """Number of segments."""
    segment_duration: str = ""
    """Length of a segment, as a duration."""
    healthy_rollouts: int = 0
    """Number of rollouts that ended healthy and stayed so."""
    data_digest: str = ""
    """Digest of the data."""
    engine: str = ""
    """Version of the program that learned it."""


class ModelNoise(Model):
    """Variance of a metric's log ratio between pods."""

    omega_squared: str
    """Long-run variance of a pod's log rate in one window."""
    tau_squared: str
    """Variance of the lasting difference between pods."""
    omega_squared_upper: str = ""
    """Upper bootstrap bound of omegaSquared."""
    tau_squared_upper: str = ""
    """Upper bootstrap bound of tauSquared."""


class LoadElasticity(Model):
    """How a metric depends on load per pod."""

    value: str
    """Change of the metric's logarithm by the logarithm of load."""
    standard_error: str = ""
    """Its standard error."""


class TailNoise(ModelNoise):
    """Noise of one tail of a histogram."""

    load_elasticity: LoadElasticity | None = None
    """How the tail depends on load."""


class UsageModel(Model):
    """How the use of a resource depends on time and load."""

    per_pod_second: str
    """Use per second of pod life."""
    per_load_unit: str
    """Use per unit of load."""


class ModelMetric(Model):
    """What was learned about one metric."""

    name: str
    """Name of the metric."""
    query_digest: str
    """Applies only while the metric's normalised query has this digest."""
    noise: ModelNoise
    """Its noise."""
    load_elasticity: LoadElasticity | None = None
    """How it depends on load."""
    tails: tuple[str, ...] = ()
    """Bounds of the tails of a histogram."""
    tail_noise: tuple[TailNoise, ...] = ()
    """Noise of each tail, in the order of tails."""
    usage: UsageModel | None = None
    """Load model of a Usage."""
    warm_up: str = ""
    """How long a young pod differs, as a duration."""


class PlaceboCalibration(Model):
    """Evidence of rollouts of nothing."""

    count: int
    """Number of placebos."""
    quantile99: str = ""
    """99 % quantile of the largest log evidence."""


class Calibration(Model):
    """Largest log evidence of rollouts without harm; it may only raise the limit."""

    healthy_rollouts: tuple[str, ...] = ()
    """Of healthy rollouts; used from ceil(1/budget)-1 values on."""
    placebos: PlaceboCalibration | None = None
    """Of placebos."""


class ConfigMapKeyRef(Model):
    """One key of a ConfigMap in the same namespace."""

    name: str
    """Name of the ConfigMap."""
    key: str
    """Key in it."""


class SentinelArtifact(Model):
    """Where the sentinel's JSON is; exactly one of configMapRef and url."""

    digest: str
    """Digest of the JSON."""
    config_map_ref: ConfigMapKeyRef | None = None
    """In a ConfigMap."""
    url: str = ""
    """In a registry, oci://."""


class Sentinel(Model):
    """An anomaly detector over all metrics; data, never code."""

    type: Literal["Mahalanobis", "NearestNeighbors", "IsolationForest"]
    """Kind of detector."""
    artifact: SentinelArtifact
    """Where it is."""
    on_anomaly: Literal["Pause", "Report", "Fail"] = "Pause"
    """What an anomaly does; Fail needs a budget and its calibration."""
    budget: Percent | None = None
    """Taken out of the rollout's budget, with Fail only."""


class FailureModelSpec(Model):
    """What was learned, from which data, and how it is used."""

    rollout_ref: FailureModelRef
    """Used only for runs of this Rollout."""
    window: str
    """Length of the windows, as a duration; metrics of another interval use the priors."""
    mode: Literal["Shadow", "Enforce"] = "Shadow"
    """Shadow is scored and recorded beside the active one; Enforce is used."""
    valid_until: str = ""
    """RFC 3339; afterwards the priors hold."""
    training: TrainingProvenance = TrainingProvenance()
    """What it was learned from."""
    metrics: tuple[ModelMetric, ...] = ()
    """What was learned about each metric."""
    calibration: Calibration | None = None
    """Evidence of rollouts without harm."""
    sentinel: Sentinel | None = None
    """Anomaly detector over all metrics."""


class HeldOut(Model):
    """History that was kept back for the certificate."""

    from_: str = msgspec.field(default="", name="from")
    """Start, RFC 3339."""
    to: str = ""
    """End, RFC 3339."""
    segments: int = 0
    """Number of segments."""


class Detection(Model):
    """How well one kind of fault is found."""

    fault: str
    """The fault."""
    found: str
    """How many were found."""
    median_time: str = ""
    """Median time until then, as a duration."""


class Certificate(Model):
    """What held-out placebos say; recomputed by the operator."""

    budget: str
    """False-rollback budget it was made for."""
    # Without defaults, so that a status says 0 where it is 0.
    placebos: int
    """Number of placebos."""
    false_rollbacks: int
    """Number of them that rolled back."""
    false_rollback_upper_bound: str
    """One-sided 95 % bound, counted a segment."""
    held_out: HeldOut = HeldOut()
    """The history it was made from."""
    detects: tuple[Detection, ...] = ()
    """How well faults are found."""
    sentinel: str = ""
    """Digest of the sentinel that may fail a run, where one looked on; only that one may."""


class ModelCondition(Model):
    """One observation of a model's state, as in Kubernetes' metav1.Condition."""

    type: str
    """What is observed."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str = ""
    """One word for programs."""
    message: str = ""
    """A sentence for people."""
    last_transition_time: str = ""
    """RFC 3339; when the status changed last."""
    observed_generation: int = 0
    """The generation this observation is about."""


class FailureModelStatus(Model):
    """State of a model."""

    observed_generation: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The generation this status is about."""
    digest: str = ""
    """Digest of the canonical spec."""
    phase: Literal["", "Invalid", "Candidate", "Shadow", "Active", "Degraded", "Expired", "Retired"] = ""
    """Where it is in its life."""
    certificate: Certificate | None = None
    """What held-out placebos say."""
    conditions: tuple[ModelCondition, ...] = ()
    """Observations."""
