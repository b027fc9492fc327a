"""The artefact of a FailureModel's sentinel: read from its ConfigMap, bounded, and checked by its digest."""

import asyncio

from analysis.failure_model_spec import FailureModelSpec, Sentinel
from analysis.model.applied import Applied, RunMetrics, applied, with_sentinel
from analysis.model.lifecycle import SentinelStanding
from analysis.model.sentinel.acting import ActingSentinel
from analysis.model.sentinel.model import SentinelModel, parse_sentinel
from analysis.model.sentinel.threshold import trajectory_threshold
from analysis.percent import format_percent
from analysis.phrases import counted
from rollout.errors import CoalmineError, InvalidSpec, NotSupportedYet
from rollout.kube.client import KubeClient
from rollout.kube.resources import CONFIG_MAPS

ARTEFACT_BYTES_MAX = 1024 * 1024
"""What a ConfigMap can hold."""
_FIELD = "spec.sentinel.artifact"


async def read_artefact(client: KubeClient, namespace: str, wanted: Sentinel) -> SentinelModel:
    """Return the artefact that a model's sentinel names.

    Raises:
        InvalidSpec: it is not there, too large, no sentinel, or not the one that the digest names.
        CoalmineError: the API server does not let us read it, or does not answer.
    """
    reference = wanted.artifact.config_map_ref
    if reference is None:
        raise NotSupportedYet(f"{_FIELD}.url", "put the JSON into a ConfigMap, and name it in configMapRef")
    field = f"{_FIELD}.configMapRef"
    found = await client.get(CONFIG_MAPS, namespace, reference.name)
    if found is None:
        raise InvalidSpec(field, f'ConfigMap "{reference.name}" does not exist', "apply what `model fit` wrote")
    text = (found.get("data") or {}).get(reference.key)
    if not isinstance(text, str):
        raise InvalidSpec(field, f'ConfigMap "{reference.name}" has no text under "{reference.key}"', "mend the key")
    data = text.encode(errors="replace")
    if len(data) > ARTEFACT_BYTES_MAX:
        raise InvalidSpec(field, f"has {len(data)} bytes; at most {ARTEFACT_BYTES_MAX} are read", "fit a smaller one")
    # A megabyte of JSON takes a tenth of a second to read and digest, which no other turn should wait for.
    return await asyncio.to_thread(parse_sentinel, data, wanted.artifact.digest, _FIELD)


async def applied_whole(client: KubeClient, namespace: str, model: FailureModelSpec, run: RunMetrics) -> Applied:
    """Return what a model gives to a run, with its sentinel; raises as `read_artefact`, and where it does not fit."""
    given = applied(model, run)
    if model.sentinel is None:
        return given
    return with_sentinel(given, model, model.sentinel, await read_artefact(client, namespace, model.sentinel), run)


async def standing(client: KubeClient, namespace: str, model: FailureModelSpec, run: RunMetrics) -> SentinelStanding:
    """Return whether a model's sentinel can act in a run, as its condition says it."""
    try:
        given = await applied_whole(client, namespace, model, run)
    except CoalmineError as error:
        return SentinelStanding("False", "NotUsed", f"runs go on without it: {error}")
    return _acts(given.sentinel)


def _acts(sentinel: ActingSentinel | None) -> SentinelStanding:
    if sentinel is None:
        return SentinelStanding("False", "NotUsed", "there is none")
    known, budget = len(sentinel.model.largest_scores), format_percent(sentinel.budget)
    threshold = trajectory_threshold(sentinel.model.largest_scores, sentinel.budget)
    if threshold is None:
        words = f"{known} healthy rollouts are too few for false alarms in {budget}; fit it on a longer history"
        return SentinelStanding("False", "NoThreshold", f"it raises no alarm: {words}")
    contrasts = counted(len(sentinel.model.features), "contrast")
    words = f"{contrasts}, false alarms in at most {budget} of rollouts"
    return SentinelStanding("True", "Watching", f"{words}, by {known} healthy ones; {sentinel.on_anomaly} on anomaly")
