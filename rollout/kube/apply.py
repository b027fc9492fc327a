"""Applying a render: server-side, in stages, driven fields kept, each object only when it differs."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from rollout.api.keys import MANAGER
from rollout.domain.sync.driven import Driven, drivers, is_driven, with_live_values
from rollout.domain.sync.health import health_of
from rollout.domain.sync.objects import Json, ObjectId, Rendered, RenderedObject
from rollout.domain.sync.ordering import in_stages
from rollout.domain.sync.world import ApplyReport
from rollout.errors import ApiError, CoalmineError, Conflict, LeadershipLost
from rollout.kube.client import KubeClient
from rollout.kube.drift import has_drifted
from rollout.kube.inventory import Owner, marked, owner_of
from rollout.kube.resources import Resource

CONCURRENCY_MAX = 8
_RACES_MAX = 4
_DISCOVERY_TRIES_MAX = 20
_DISCOVERY_SECONDS = 0.25


@dataclass(slots=True)
class _Findings:
    """What a pass found so far."""

    failures: dict[ObjectId, str] = field(default_factory=dict)
    repaired: list[ObjectId] = field(default_factory=list)
    drifted: list[ObjectId] = field(default_factory=list)
    unhealthy: dict[ObjectId, str] = field(default_factory=dict)
    degraded: set[ObjectId] = field(default_factory=set)
    lost: LeadershipLost | None = None


async def apply_render(
    api: KubeClient,
    rendered: Rendered,
    owner: Owner,
    *,
    now: float,
    check_only: bool = False,
    others: Iterable[Json] = (),
) -> ApplyReport:
    """Bring the cluster in line with a render; raises LeadershipLost, and tells everything else in the report.

    A stage starts only when the one before it was applied without a failure, so a Rollout never starts without its
    configuration.

    Args:
        api: the API server.
        rendered: a complete render.
        owner: the Application.
        now: epoch seconds, for the report.
        check_only: look for drift, write nothing.
        others: live Rollouts and autoscalers that are not in the render, but drive objects that are.
    """
    driven = drivers([*others, *(o.obj for o in rendered.objects)])
    findings, gate = _Findings(), asyncio.Semaphore(CONCURRENCY_MAX)
    for stage in in_stages(rendered.objects):
        async with asyncio.TaskGroup() as group:
            for wanted in stage:
                group.create_task(_guarded(api, wanted, owner, driven, findings, gate, check_only=check_only))
        if findings.lost is not None:
            raise findings.lost
        if findings.failures:
            break
    return ApplyReport(
        commit=rendered.commit,
        render_digest=rendered.digest,
        at=now,
        checked_only=check_only,
        failures=tuple(sorted(findings.failures.items())),
        repaired=tuple(sorted(findings.repaired)),
        drifted=tuple(sorted(findings.drifted)),
        unhealthy=tuple(sorted(findings.unhealthy.items())),
        degraded=frozenset(findings.degraded),
    )


async def _guarded(
    api: KubeClient,
    wanted: RenderedObject,
    owner: Owner,
    driven: Driven,
    findings: _Findings,
    gate: asyncio.Semaphore,
    *,
    check_only: bool,
) -> None:
    """One object; its problem is written down and does not stop the others of its stage."""
    async with gate:
        try:
            await _apply_one(api, wanted, owner, driven, findings, check_only=check_only)
        except LeadershipLost as error:
            findings.lost = error
        except CoalmineError as error:
            findings.failures[wanted.id] = str(error)[:500]


async def _apply_one(
    api: KubeClient,
    wanted: RenderedObject,
    owner: Owner,
    driven: Driven,
    findings: _Findings,
    *,
    check_only: bool,
) -> None:
    """Read, merge, compare by a dry run, write when it differs; again when somebody wrote in between."""
    resource = await _served(api, wanted)
    for attempt in range(_RACES_MAX):
        live = await api.get(resource, wanted.id.namespace or None, wanted.id.name)
        desired = desired_of(wanted, live, owner, driven)
        try:
            result = await _write(api, resource, desired, live, wanted.id, findings, check_only=check_only)
        except Conflict:
            if attempt == _RACES_MAX - 1:
                raise
            continue
        _judge(result, wanted.id, findings)
        return


def desired_of(wanted: RenderedObject, live: Json | None, owner: Owner, driven: Driven) -> Json:
    """What is applied for a declared object: marked, with live values where something drives it.

    Raises ApiError where another Application has it.
    """
    _refuse_foreign(live, owner)
    desired = with_live_values(marked(wanted, owner), live, driven)
    if live is not None and is_driven(desired, driven):
        # The driver may write between our read and our write: then this one must fail, not win.
        version = live["metadata"]["resourceVersion"]
        desired = {**desired, "metadata": {**desired["metadata"], "resourceVersion": version}}
    return desired


async def _write(
    api: KubeClient,
    resource: Resource,
    desired: Json,
    live: Json | None,
    object_id: ObjectId,
    findings: _Findings,
    *,
    check_only: bool,
) -> Json | None:
    """Apply where a dry run shows a difference; returns what lives afterwards."""
    if live is not None:
        planned = await api.apply(resource, desired, manager=MANAGER, force=True, dry_run=True)
        if not has_drifted(live, planned):
            return live
    if check_only:
        findings.drifted.append(object_id)
        return live
    result = await api.apply(resource, desired, manager=MANAGER, force=True)
    if live is not None:
        findings.repaired.append(object_id)
    return result


async def _served(api: KubeClient, wanted: RenderedObject) -> Resource:
    """Where the kind is served; a CRD that was just applied may need a moment."""
    api_version, kind = wanted.obj["apiVersion"], wanted.id.kind
    for _ in range(_DISCOVERY_TRIES_MAX):
        found = await api.discover(api_version, kind)
        if found is not None:
            return found
        await asyncio.sleep(_DISCOVERY_SECONDS)
    raise ApiError(404, "NotServed", f"{api_version} {kind} is not served by this cluster; install its CRD")


def _refuse_foreign(live: Json | None, owner: Owner) -> None:
    """Two Applications on one object would repair each other for ever."""
    other = owner_of(live) if live is not None else ""
    if other and other != owner.id:
        raise ApiError(409, "OwnedByOther", f"belongs to Application {other}; declare it in one of them")


def _judge(live: Json | None, object_id: ObjectId, findings: _Findings) -> None:
    health = health_of(live) if live is not None else None
    if health is not None and health.status != "Healthy":
        findings.unhealthy[object_id] = health.words
        if health.status == "Degraded":
            findings.degraded.add(object_id)
