"""What every kind shares: object metadata, conditions, references."""

from typing import Any, Literal

from analysis.model_base import Model

Json = dict[str, Any]

GROUP = "coalmine.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class OwnerReference(Model):
    """Who an object belongs to."""

    api_version: str = ""
    """API version of the owner."""
    kind: str = ""
    """Kind of the owner."""
    name: str = ""
    """Name of the owner."""
    uid: str = ""
    """UID of the owner."""
    controller: bool = False
    """Whether the owner manages this object."""
    block_owner_deletion: bool = False
    """Whether foreground deletion of the owner waits for this object."""


class ObjectMeta(Model):
    """The parts of Kubernetes' ObjectMeta that decisions need."""

    name: str = ""
    """Name, unique in the namespace."""
    namespace: str = ""
    """Namespace."""
    uid: str = ""
    """Identity across deletions."""
    resource_version: str = ""
    """Version for optimistic locking."""
    generation: int = 0
    """Counts changes of the spec."""
    creation_timestamp: str = ""
    """RFC 3339, seconds."""
    deletion_timestamp: str | None = None
    """RFC 3339; set once deletion was asked for."""
    labels: dict[str, str] = {}
    """Labels."""
    annotations: dict[str, str] = {}
    """Annotations."""
    finalizers: tuple[str, ...] = ()
    """Finalizers."""
    owner_references: tuple[OwnerReference, ...] = ()
    """Owners."""


class Condition(Model):
    """One observation of an object's state, as in Kubernetes' metav1.Condition."""

    type: str
    """What is observed."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str = ""
    """One word for programs."""
    message: str = ""
    """A sentence for people: what happened, why, what next."""
    last_transition_time: str = ""
    """RFC 3339; when the status changed last."""
    last_update_time: str = ""
    """RFC 3339; when the condition was confirmed last (Argo's field, Rollouts and Experiments only)."""
    observed_generation: int = 0
    """The generation this observation is about."""


class NameRef(Model):
    """A reference to an object in the same namespace."""

    name: str
    """Name of the object."""


class LabelSelectorRequirement(Model):
    """One expression of a label selector."""

    key: str
    """Label key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the values are compared."""
    values: tuple[str, ...] = ()
    """Values, for In and NotIn."""


class LabelSelector(Model):
    """Which labels an object must carry."""

    match_labels: dict[str, str] = {}
    """Labels that must be equal."""
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
    """Further expressions; all must hold."""


def set_condition(conditions: tuple[Condition, ...], new: Condition, now: str) -> tuple[Condition, ...]:
    """Return the conditions with `new` in place of its type; the transition time moves only with the status.

    Args:
        conditions: what there was, any order.
        new: the observation; its times are filled in here.
        now: RFC 3339.
    """
    old = next((c for c in conditions if c.type == new.type), None)
    since = old.last_transition_time if old is not None and old.status == new.status else now
    fresh = Condition(
        type=new.type,
        status=new.status,
        reason=new.reason,
        message=new.message,
        last_transition_time=since,
        observed_generation=new.observed_generation,
    )
    if old is None:
        return (*conditions, fresh)
    return tuple(fresh if c.type == new.type else c for c in conditions)
