"""What the guards and the warm-up mask read of pods, and what is remembered of them from look to look."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.durations import parse_time
from analysis.evidence.guards import PodSeen
from rollout.domain.decision import earliest

Json = dict[str, Any]

PODS_REMEMBERED = 1000
"""That are gone; those that are there are all looked at."""
KILLS_REMEMBERED = 100
"""Of one pod; a guard fires long before."""
_SAME_TIME_SECONDS = 2.0
_ENDED = ("Failed", "Succeeded")
# A run begins with its update; its first pods may be a little quicker.
_BEFORE_SECONDS = 60.0


@dataclass
class PodsSeen:
    """Pods of both arms, the dead ones too: what they did counts.

    The API server shows no more than the last two ends of a container. So its ends by OOMKilled are remembered one by
    one: between two looks some may be missed, and none is counted twice. A restart of the operator begins anew with
    what is shown.
    """

    _pods: dict[str, PodSeen] = field(default_factory=dict)
    _kills: dict[str, frozenset[str]] = field(default_factory=dict)

    def see(self, pods: Iterable[Json], began_at: float) -> None:
        """Take in the pods as they are now; those that are not among them are gone.

        Args:
            pods: of both arms.
            began_at: epoch seconds of the run's start. What a clearly older pod had done when it was first seen was
                before the run: it may be a canary of an update before this one, or stable pods taken back.
        """
        before = {name: replace(pod, gone=True) for name, pod in self._pods.items()}
        now = {pod["metadata"]["name"]: self._seen(pod, began_at) for pod in pods}
        gone = [name for name in before if name not in now]
        for name in gone[: max(len(gone) - PODS_REMEMBERED, 0)]:
            del before[name]
            self._kills.pop(name, None)
        self._pods = {**before, **now}

    def _seen(self, pod: Json, began_at: float) -> PodSeen:
        name = pod["metadata"]["name"]
        known = self._kills.get(name, frozenset())
        kills = known if len(known) >= KILLS_REMEMBERED else known | memory_kills(pod)
        if kills:
            self._kills[name] = kills
        before, now = self._pods.get(name), replace(pod_seen(pod), memory_kills=len(kills))
        if before is None:
            older = now.accepted_at is not None and now.accepted_at < began_at - _BEFORE_SECONDS
            return replace(now, restarts_before=now.restarts, kills_before=now.memory_kills) if older else now
        return replace(
            now,
            ready=now.ready or before.ready,
            restarts_before=before.restarts_before,
            kills_before=before.kills_before,
        )

    def all(self) -> tuple[PodSeen, ...]:
        """All that are remembered."""
        return tuple(self._pods.values())


def pod_seen(pod: Json) -> PodSeen:
    """A pod as the API server shows it at one moment."""
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    started = [((c.get("state") or {}).get("running") or {}).get("startedAt") for c in containers]
    accepted = _time(status.get("startTime"))
    first = earliest(*(parse_time(text) for text in started if text))
    return PodSeen(
        pod["metadata"]["name"],
        first,
        restarts=sum(int(c.get("restartCount", 0)) for c in containers),
        ready=_was_ready(status, accepted),
        memory_kills=len(memory_kills(pod)),
        accepted_at=accepted,
        gone=status.get("phase") in _ENDED or "deletionTimestamp" in pod["metadata"],
    )


def _was_ready(status: Json, accepted_at: float | None) -> bool:
    """Whether the pod is ready, or was: a condition that changed after the pod began was True before."""
    ready = next((c for c in status.get("conditions") or [] if c.get("type") == "Ready"), None)
    if ready is None:
        return False
    if ready.get("status") == "True":
        return True
    changed = _time(ready.get("lastTransitionTime"))
    return changed is not None and accepted_at is not None and changed > accepted_at + _SAME_TIME_SECONDS


def memory_kills(pod: Json) -> frozenset[str]:
    """The ends by OOMKilled that the API server shows: of each container its present end and the one before."""
    return frozenset(_ends(pod.get("status") or {}))


def _ends(status: Json) -> Iterator[str]:
    for kind in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(kind) or []:
            for shown in ("state", "lastState"):
                end = (container.get(shown) or {}).get("terminated") or {}
                if end.get("reason") == "OOMKilled":
                    # Every start of a container has an id of its own.
                    yield f"{container.get('name')} {end.get('containerID') or end.get('finishedAt')}"


def _time(text: str | None) -> float | None:
    return parse_time(text) if text else None
