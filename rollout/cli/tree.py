"""A Rollout as a tree: its head, then revisions, ReplicaSets, pods and runs. Pure: objects in, lines out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from analysis.durations import parse_time
from analysis.run_spec import AnalysisRunStatus
from rollout.api.keys import HASH_LABEL, REVISION, SCALE_DOWN_DEADLINE
from rollout.api.rollout import Rollout
from rollout.cli.answer import answer
from rollout.cli.screen import Screen, age, facts, table
from rollout.cli.standing import standing
from rollout.controllers.observe import replica_set
from rollout.domain.sync.digest import images_of
from rollout.domain.world import ReplicaSetView, World

Json = dict[str, Any]

RUNS_SHOWN = 5


@dataclass(frozen=True)
class Family:
    """A live Rollout and what it owns."""

    live: Json
    replica_sets: tuple[Json, ...] = ()
    pods: tuple[Json, ...] = ()
    runs: tuple[Json, ...] = ()

    @cached_property
    def rollout(self) -> Rollout:
        """The Rollout, typed."""
        return msgspec.convert(self.live, Rollout)

    @cached_property
    def world(self) -> World:
        """As decisions see it, as far as the tree needs."""
        return World(self.rollout, replica_sets=tuple(map(replica_set, self.replica_sets)))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree."""

    name: str
    kind: str
    status: str
    created: str
    info: str = ""
    children: tuple["Row", ...] = ()


def draw(family: Family, screen: Screen, now: float | None) -> list[str]:
    """The head and the tree.

    Args:
        family: the objects.
        screen: what the reader can see.
        now: epoch seconds; None leaves the ages out, so that two pictures can be compared.
    """
    return [*_head(family, screen), "", *_tree(family, screen, now)]


def _head(family: Family, screen: Screen) -> list[str]:
    rollout, status = family.rollout, family.rollout.status
    place = standing(rollout)
    seen = answer(rollout)
    replicas = (
        ("Desired", family.world.replicas),
        ("Current", status.replicas),
        ("Updated", status.updated_replicas),
        ("Ready", status.ready_replicas),
        ("Available", status.available_replicas),
    )
    return [
        *facts(
            [
                ("Name", rollout.metadata.name),
                ("Namespace", rollout.metadata.namespace),
                ("Status", screen.status(seen.phase)),
                ("Message", seen.words),
                ("Strategy", place.strategy),
                ("  Step", place.step),
                ("  SetWeight", place.set_weight),
                ("  ActualWeight", place.actual_weight),
                ("Images", "\n".join(_images(family))),
            ]
        ),
        "Replicas:",
        *facts((f"  {name}", str(count)) for name, count in replicas),
    ]


def _images(family: Family) -> Iterator[str]:
    """Images with the role of their revision, stable first."""
    seen: dict[str, list[str]] = {}
    status = family.rollout.status
    for obj, view in _by_revision(family):
        role = _role(view, family)
        if view.current or view.replicas or view.pod_hash == status.current_pod_hash:
            for image in images_of(obj["spec"]["template"]):
                seen.setdefault(image.reference, []).extend([role] if role else [])
    if not seen:
        seen = {image.reference: [] for image in images_of(family.rollout.spec.template)}
    for reference, roles in sorted(seen.items(), key=lambda item: "stable" not in item[1]):
        marks = ", ".join(dict.fromkeys(roles))
        yield f"{reference} ({marks})" if marks else reference


def _by_revision(family: Family) -> list[tuple[Json, ReplicaSetView]]:
    """ReplicaSets with their views, the newest revision first."""
    pairs = zip(family.replica_sets, family.world.replica_sets, strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1].revision, -pair[1].created_at, pair[1].name))


def _role(view: ReplicaSetView, family: Family) -> str:
    status = family.rollout.status
    if view.pod_hash == status.stable_rs != "":
        return "stable"
    return "canary" if view.pod_hash == status.current_pod_hash != "" else ""


def _tree(family: Family, screen: Screen, now: float | None) -> list[str]:
    """The rows in columns, with branches in front of the names."""
    seen, metadata = answer(family.rollout), family.live["metadata"]
    root = Row(
        screen.icon("⟳") + metadata["name"],
        "Rollout",
        seen.phase,
        metadata.get("creationTimestamp", ""),
        children=tuple(_revisions(family, screen)),
    )
    rows = []
    for branch, row in _walk(root, "", ""):
        born = age(now - parse_time(row.created)) if now is not None and row.created else ""
        rows.append((branch + row.name, row.kind, screen.status(row.status), born, row.info))
    return table(("NAME", "KIND", "STATUS", "AGE", "INFO"), rows)


def _walk(row: Row, before: str, below: str) -> Iterator[tuple[str, Row]]:
    yield before, row
    for child in row.children:
        last = child is row.children[-1]
        yield from _walk(child, below + ("└──" if last else "├──"), below + ("   " if last else "│  "))


def _revisions(family: Family, screen: Screen) -> Iterator[Row]:
    """A row a revision, with its ReplicaSet and its runs."""
    for obj, view in _by_revision(family):
        pods = tuple(_pod(pod, screen) for pod in family.pods if _owned(pod, view.uid))
        runs = tuple(_run(run, screen) for run in _runs(family, view.revision))
        deadline = (obj["metadata"].get("annotations") or {}).get(SCALE_DOWN_DEADLINE, "")
        info = ",".join(part for part in (_role(view, family), f"until:{deadline}" if deadline else "") if part)
        name, created = screen.icon("⧉") + view.name, obj["metadata"].get("creationTimestamp", "")
        own = Row(name, "ReplicaSet", _health(view), created, info, pods)
        yield Row(f"{screen.icon('#')}revision:{view.revision}", "", "", "", children=(own, *runs))


def _owned(obj: Json, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in obj["metadata"].get("ownerReferences") or [])


def _health(view: ReplicaSetView) -> str:
    if view.replicas == 0 and view.current == 0:
        return "ScaledDown"
    return "Healthy" if view.observed and view.available >= view.replicas else "Progressing"


def _pod(pod: Json, screen: Screen) -> Row:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    containers: Sequence[Json] = status.get("containerStatuses") or []
    ready = sum(bool(c.get("ready")) for c in containers)
    restarts = sum(int(c.get("restartCount", 0)) for c in containers)
    info = f"ready:{ready}/{len(pod['spec'].get('containers') or [])}" + (f",restarts:{restarts}" if restarts else "")
    return Row(screen.icon("□") + metadata["name"], "Pod", _pod_state(pod), metadata.get("creationTimestamp", ""), info)


def _pod_state(pod: Json) -> str:
    """As kubectl says it: what keeps a container from running, else the phase."""
    status = pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        for kind in ("waiting", "terminated"):
            if (state.get(kind) or {}).get("reason"):
                return str(state[kind]["reason"])
    return str(status.get("reason") or status.get("phase") or "Pending")


def _runs(family: Family, revision: int) -> list[Json]:
    """The last runs of a revision, newest first."""
    mine = [
        run
        for run in family.runs
        if (run["metadata"].get("annotations") or {}).get(REVISION) == str(revision)
        or (
            REVISION not in (run["metadata"].get("annotations") or {})
            and (run["metadata"].get("labels") or {}).get(HASH_LABEL)
            in {rs.pod_hash for rs in family.world.replica_sets if rs.revision == revision}
        )
    ]
    born = sorted(mine, key=lambda run: (run["metadata"].get("creationTimestamp", ""), run["metadata"]["name"]))
    return born[::-1][:RUNS_SHOWN]


def _run(run: Json, screen: Screen) -> Row:
    status = msgspec.convert(run.get("status") or {}, AnalysisRunStatus)
    parts = []
    if status.comparison is not None and status.comparison.evidence:
        parts.append(f"evidence:{status.comparison.evidence}/{status.comparison.evidence_limit}")
    counts = {"successful": 0, "failed": 0, "inconclusive": 0, "error": 0}
    for result in status.metric_results:
        for name in counts:
            counts[name] += getattr(result, name)
    parts += [f"{name}:{count}" for name, count in counts.items() if count]
    metadata = run["metadata"]
    name, created = screen.icon("Σ") + metadata["name"], metadata.get("creationTimestamp", "")
    return Row(name, "AnalysisRun", str(status.phase), created, ",".join(parts))
