"""A live Rollout as its Application sees it: which declared version runs, is it healthy, did it fail and why."""

from collections.abc import Iterable
from typing import Any

import msgspec

from rollout.api.application_status import ImageDigest
from rollout.api.keys import HASH_LABEL, TEMPLATE_DIGEST
from rollout.api.rollout import Rollout, RolloutStatus
from rollout.domain.clock import epoch
from rollout.domain.sync.digest import declares, images_of, rollout_template, template_digest
from rollout.domain.sync.objects import RenderedObject
from rollout.domain.sync.world import Failure, FailureCause, RolloutView

Json = dict[str, Any]

# Git must not wait for ever for pods that cannot go, or for a router that does not answer.
PATIENCE_SECONDS = 120.0


def rollout_view(
    live: Json,
    declared: RenderedObject | None,
    runs: Iterable[Json],
    pods: Iterable[Json],
    digests: dict[tuple[str, str], dict[str, str]],
    now: float,
) -> RolloutView:
    """The view of a live Rollout.

    Args:
        live: the Rollout.
        declared: what Git declares of it, if anything.
        runs: its AnalysisRuns.
        pods: its pods, of all revisions.
        digests: image digests seen so far by (Rollout uid, pod hash); what the pods tell is added.
        now: epoch seconds.
    """
    rollout = msgspec.convert(live, Rollout)
    status, metadata = rollout.status, rollout.metadata
    observed = status.observed_generation == metadata.generation
    for pod in pods:
        _learn(metadata.uid, pod, digests)
    images = images_of(rollout.spec.template)
    current = _with_digests(images, digests.get((metadata.uid, status.current_pod_hash), {}))
    return RolloutView(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        template_digest=_digest(live, declared),
        observed=observed,
        healthy=observed and status.phase == "Healthy" and status.stable_rs == status.current_pod_hash != "",
        aborted=observed and status.abort,
        failure=_failure(status, current, runs, now) if observed else None,
        images=current,
        policy=rollout.spec.revert,
    )


def _digest(live: Json, declared: RenderedObject | None) -> str:
    """The stamped digest; where somebody else applies, that of the declared template if it is the live one."""
    stamped = (live["metadata"].get("annotations") or {}).get(TEMPLATE_DIGEST, "")
    if stamped or declared is None:
        return str(stamped)
    template = rollout_template(declared.obj)
    return template_digest(template) if declares(template, rollout_template(live)) else ""


def _failure(
    status: RolloutStatus, images: tuple[ImageDigest, ...], runs: Iterable[Json], now: float
) -> Failure | None:
    """Why the update was given up; None while it was not, or for a reason that proves nothing (an Error)."""
    cause = _cause(status)
    if not status.abort or not status.aborted_at or cause is None:
        return None
    seen = status.canary.current_background_analysis_run_status
    run = seen.name if seen is not None and cause == "AnalysisFailed" else ""
    message = seen.message if seen is not None and run else status.message
    weights = next((_weights(r) for r in runs if r["metadata"]["name"] == (seen.name if seen else "")), [])
    return Failure(
        cause=cause,
        message=message,
        at=status.aborted_at,
        weight_percent=next((w for w in reversed(weights) if w > 0), 0),
        traffic_restored=_has_no_traffic(status) or now - epoch(status.aborted_at) > PATIENCE_SECONDS,
        analysis_run=run,
        images=images,
    )


def _cause(status: RolloutStatus) -> FailureCause | None:
    run = status.canary.current_background_analysis_run_status
    if run is not None and run.status == "Failed":
        return "AnalysisFailed"
    if run is not None and run.status == "Error":
        return None
    progressing = next((c for c in status.conditions if c.type == "Progressing"), None)
    if progressing is not None and "progressDeadlineSeconds" in progressing.message:
        return "ProgressDeadlineExceeded"
    return "AbortedByUser"


def _has_no_traffic(status: RolloutStatus) -> bool:
    """Weight 0 in the router; without one, no pods of the failed version."""
    if status.canary.weights is not None:
        return status.canary.weights.canary.weight == 0
    return status.updated_replicas == 0


def _weights(run: Json) -> list[int]:
    """The weight timeline of an AnalysisRun, percent."""
    text = (run["metadata"].get("annotations") or {}).get("coalmine.dev/weights", "")
    values = (entry.partition("=")[2] for entry in text.split(","))
    return [int(value) for value in values if value.isdigit()]


def _learn(uid: str, pod: Json, digests: dict[tuple[str, str], dict[str, str]]) -> None:
    """Remember what the images of a revision are, since its pods go before its Application has time to look."""
    pod_hash = (pod["metadata"].get("labels") or {}).get(HASH_LABEL, "")
    known = digests.setdefault((uid, pod_hash), {})
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        digest = str(status.get("imageID") or "").rpartition("@")[2].rpartition("//")[2]
        if digest.startswith("sha256:"):
            known[str(status.get("name"))] = digest
    while len(digests) > 2000:
        digests.pop(next(iter(digests)))


def _with_digests(images: tuple[ImageDigest, ...], seen: dict[str, str]) -> tuple[ImageDigest, ...]:
    return tuple(msgspec.structs.replace(i, digest=seen.get(i.name, i.digest)) for i in images)
