"""The FailureModel that a run is judged with: what it pinned, where that may still be used; else the priors."""

from collections.abc import Mapping
from typing import Any

import msgspec

from analysis.measure import Models, Shadow
from analysis.model.applied import applied, run_metrics
from analysis.model.lifecycle import shadowed, usable
from analysis.run_spec import AnalysisRunSpec
from rollout.api.failuremodel import FailureModel
from rollout.controllers.context import Context
from rollout.domain.decision import Event
from rollout.errors import InvalidSpec
from rollout.kube.resources import ANALYSIS_RUNS, FAILURE_MODELS

Json = dict[str, Any]


def pinned_model(context: Context, live: Json, spec: AnalysisRunSpec, secrets: Mapping[str, str]) -> Models:
    """Return what the run's model gives to it, and tell where it gives nothing.

    A model that is missing, changed or not certified never stops a run and never helps it pass: the priors hold, and
    the verdict is marked as not certified.
    """
    pinned = spec.comparison.failure_model if spec.comparison else None
    if pinned is None:
        return Models()
    problem, found = _looked_up(context, (live["metadata"]["namespace"], pinned.name), pinned.digest)
    if found is not None:
        try:
            given = applied(found.spec, run_metrics(spec, secrets))
        except InvalidSpec as error:
            problem = str(error)
        else:
            if shadowed(found.spec, found.status, pinned.digest):
                return Models(shadow=Shadow(pinned.digest, given.noises, given.limit_raise))
            return Models(given.noises, given.limit_raise)
    words = f'FailureModel "{pinned.name}" is not used, and the priors hold: {problem}'
    context.recorder.tell(ANALYSIS_RUNS, live, Event("Warning", "FailureModelNotUsed", words))
    return Models()


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
