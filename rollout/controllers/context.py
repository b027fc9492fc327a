"""What every controller works with: caches, a fenced client, a clock, and a way to tell users."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from rollout.domain.decision import Event
from rollout.errors import Conflict
from rollout.kube.cache import Cache, Key
from rollout.kube.client import KubeClient
from rollout.kube.resources import Resource

Json = dict[str, Any]


class Recorder(Protocol):
    """Takes Kubernetes Events; delivery is best effort and never holds a turn up."""

    def tell(self, resource: Resource, obj: Json, event: Event) -> None:
        """Post an Event about an object."""
        ...


@dataclass(frozen=True)
class Context:
    """The surroundings of all controllers."""

    client: KubeClient
    caches: dict[Resource, Cache]
    now: Callable[[], float]
    recorder: Recorder
    enqueue: Callable[[Resource, Key], None]
    """Ask for a turn of another object's controller."""
    performed: Callable[[str], None] = lambda _: None
    """Told the name of each action that is carried out, for metrics."""
    later: Callable[[Resource, Key], None] | None = None
    """Ask for a turn that is taken beside all others, one at a time; where there is no such way, as any other."""

    def enqueue_later(self, resource: Resource, key: Key) -> None:
        """Ask for a turn that nobody waits for."""
        (self.later or self.enqueue)(resource, key)


class Controller(Protocol):
    """One kind's turns."""

    resource: Resource

    async def reconcile(self, key: Key) -> float | None:
        """One turn; returns when to look again (epoch seconds), or None."""
        ...


def status_patch(old: Json, new: msgspec.Struct) -> Json:
    """The merge patch from a live status to a decided one.

    Only fields that the struct knows are touched: what a newer version or a user wrote beside them survives.

    Args:
        old: the live `status`.
        new: the decided status.
    """
    known = msgspec.to_builtins(msgspec.convert(old, type(new)))
    return difference(known, msgspec.to_builtins(new))


def difference(old: Json, new: Json) -> Json:
    """RFC 7386: the merge patch that turns `old` into `new`; empty where they are equal."""
    patch: Json = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key in old and old[key] == value:
            continue
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            patch[key] = difference(old[key], value)
        else:
            patch[key] = value
    return patch


async def publish(
    context: Context, resource: Resource, obj: Json, status: msgspec.Struct, events: tuple[Event, ...]
) -> None:
    """Write the status where it has changed, optimistically, and tell the events.

    The resourceVersion guards the write, and no turn writes a status but here: where the status is not the one that
    was decided upon, a user's `abort` came in between. Conflict then; the turn is decided anew.
    `obj` is the object as the decision saw it.
    """
    live = context.caches[resource].get((obj["metadata"].get("namespace") or "", obj["metadata"]["name"])) or obj
    if (live.get("status") or {}) != (obj.get("status") or {}):
        raise Conflict(f"the status of {obj['metadata']['name']} was written while its turn was taken")
    patch = status_patch(live.get("status") or {}, status)
    if patch:
        metadata = live["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": patch}
        answer = await context.client.merge_patch(
            resource, metadata.get("namespace"), metadata["name"], body, subresource="status"
        )
        context.caches[resource].put(answer)
    for event in events:
        context.recorder.tell(resource, obj, event)
