"""The FailureModel that a run is judged with: what it pinned, where that may still be used; else the priors."""

from collections.abc import Mapping
from typing import Any

import msgspec

from analysis.measure import Models, Shadow
from analysis.model.applied import RunMetrics, applied, run_metrics
from analysis.model.lifecycle import certified_with_sentinel, shadowed, usable
from analysis.run_spec import AnalysisRunSpec
from rollout.api.failuremodel import FailureModel
from rollout.controllers.context import Context
from rollout.controllers.sentinel_source import applied_whole
from rollout.domain.decision import Event
from rollout.errors import CoalmineError, InvalidSpec, Transient
from rollout.kube.resources import ANALYSIS_RUNS, FAILURE_MODELS

Json = dict[str, Any]


async def pinned_model(context: Context, live: Json, spec: AnalysisRunSpec, secrets: Mapping[str, str]) -> Models:
    """Return what the run's model gives to it, and tell where it gives nothing.

    A model that is missing, changed or not certified never stops a run and never helps it pass: the priors hold, and
    the verdict is marked as not certified. Without its sentinel the rest of a model is used.

    Raises:
        Transient: the sentinel cannot be read at the moment.
    """
    pinned = spec.comparison.failure_model if spec.comparison else None
    if pinned is None:
        return Models()
    problem, found = _looked_up(context, (live["metadata"]["namespace"], pinned.name), pinned.digest)
    if found is not None:
        try:
            metrics = run_metrics(spec, secrets)
            given = applied(found.spec, metrics)
        except InvalidSpec as error:
            problem = str(error)
        else:
            if shadowed(found.spec, found.status, pinned.digest):
                return Models(shadow=Shadow(pinned.digest, given.noises, given.limit_raise))
            return await _whole(context, live, found, metrics)
    words = f'FailureModel "{pinned.name}" is not used, and the priors hold: {problem}'
    context.recorder.tell(ANALYSIS_RUNS, live, Event("Warning", "FailureModelNotUsed", words))
    return Models()


async def _whole(context: Context, live: Json, model: FailureModel, metrics: RunMetrics) -> Models:
    """Return what a model gives with its sentinel; without it, told, where that cannot be used."""
    try:
        given = await applied_whole(context.client, live["metadata"]["namespace"], model.spec, metrics)
    except Transient:
        raise
    except CoalmineError as error:
        problem = str(error)
    else:
        can_fail = given.sentinel is not None and given.sentinel.taken > 0
        if not can_fail or certified_with_sentinel(model.spec, model.status):
            return Models(given.noises, given.limit_raise, sentinel=given.sentinel)
        problem = "it came after the certificate, which is made again with it"
    words = f'the run goes on without the sentinel of FailureModel "{model.metadata.name}": {problem}'
    context.recorder.tell(ANALYSIS_RUNS, live, Event("Warning", "SentinelNotUsed", words))
    given = applied(model.spec, metrics)
    return Models(given.noises, given.limit_raise)


def _looked_up(context: Context, key: tuple[str, str], digest: str) -> tuple[str, FailureModel | None]:
    live = context.caches[FAILURE_MODELS].get(key)
    if live is None:
        return "it does not exist", None
    try:
        model = msgspec.convert(live, FailureModel)
    except msgspec.ValidationError as error:
        return f"it does not fit the CRD: {str(error)[:200]}", None
    if shadowed(model.spec, model.status, digest):
        return "", model
    problem = usable(model.spec, model.status, digest, context.now())
    return problem, None if problem else model
