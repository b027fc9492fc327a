"""FailureModel: what a service's own history says of its noise; the spec lives in `analysis`."""

from analysis.failure_model_spec import FailureModelSpec, FailureModelStatus
from analysis.model_base import Model
from rollout.api.meta import ObjectMeta


class FailureModel(Model):
    """What a service's own history says of its noise, and which verdicts it certifies."""

    spec: FailureModelSpec
    """The model."""
    metadata: ObjectMeta = ObjectMeta()
    """Standard object metadata."""
    status: FailureModelStatus = FailureModelStatus()
    """What the operator found of it."""
