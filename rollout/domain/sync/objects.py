"""Desired objects as a render gives them."""

from dataclasses import dataclass
from typing import Any, Self

Json = dict[str, Any]

ROLLOUT_GROUPS = frozenset({"coalmine.dev", "argoproj.io"})


@dataclass(frozen=True, slots=True, order=True)
class ObjectId:
    """Identity of an object across versions of its API."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}_{self.name}_{self.group}_{self.kind}"

    @property
    def words(self) -> str:
        """For people: `Rollout shop/checkout`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id of an inventory entry; a name may contain underscores, the other parts cannot."""
        namespace, _, rest = text.partition("_")
        name, group, kind = rest.rsplit("_", 2)
        return cls(group, kind, namespace, name)

    @classmethod
    def of(cls, obj: Json) -> Self:
        """The id of a manifest."""
        group, _, _ = obj["apiVersion"].rpartition("/")
        meta = obj["metadata"]
        return cls(group, obj["kind"], meta.get("namespace", ""), meta["name"])


@dataclass(frozen=True, slots=True)
class RenderedObject:
    """One desired object; `obj` is read-only, `path` is the file that declares it."""

    id: ObjectId
    obj: Json
    path: str = ""

    @property
    def version(self) -> str:
        """API version without the group."""
        return str(self.obj["apiVersion"]).rpartition("/")[2]

    @property
    def is_rollout(self) -> bool:
        """Whether it is a Rollout of either dialect."""
        return self.id.kind == "Rollout" and self.id.group in ROLLOUT_GROUPS


@dataclass(frozen=True, slots=True)
class Rendered:
    """A complete render of one commit.

    Attributes:
        commit: what was rendered.
        objects: sorted by id, each once.
        closure: every file the render read, from the repository's root.
        digest: of the objects.
        closure_digest: of the files' names and contents.
        warnings: what a person should know.
        size_bytes: about how much the objects are.
    """

    commit: str
    objects: tuple[RenderedObject, ...]
    closure: frozenset[str]
    digest: str
    closure_digest: str
    warnings: tuple[str, ...] = ()
    size_bytes: int = 0

    @property
    def rollouts(self) -> tuple[RenderedObject, ...]:
        """The Rollouts among the objects."""
        return tuple(o for o in self.objects if o.is_rollout)


@dataclass(frozen=True, slots=True)
class RenderFailure:
    """A commit that could not be rendered; the last good state keeps running. `at` is in epoch seconds."""

    commit: str
    message: str
    transient: bool = False
    at: float = 0.0


RenderReport = Rendered | RenderFailure
