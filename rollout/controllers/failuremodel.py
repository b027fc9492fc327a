"""The FailureModel's turns: decide its phase, publish, and make its certificate in a job beside the turns."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from analysis.failure_model_spec import Certificate, FailureModelSpec, FailureModelStatus
from analysis.model.applied import Applied, RunMetrics, applied, run_metrics
from analysis.model.artefact import digest
from analysis.model.certify import Tally, Trial, certificate, played, trial_of
from analysis.model.history import Piece, pieces_between, read_piece
from analysis.model.lifecycle import (
    RECERTIFY_SECONDS,
    SENTINEL,
    ModelWorld,
    SentinelStanding,
    certificate_due,
    decide,
    held_out_from,
    sentinel_due,
    wakes_at,
)
from analysis.model.soundness import drifted
from analysis.model.validate import validate_failure_model
from analysis.providers.prometheus import PrometheusProvider
from rollout.api.failuremodel import FailureModel
from rollout.api.rollout import Rollout
from rollout.controllers.argument_secrets import argument_secrets
from rollout.controllers.background import Background
from rollout.controllers.context import Context, publish
from rollout.controllers.model_source import ModelSource, model_of, model_source
from rollout.controllers.sentinel_source import applied_whole, standing
from rollout.domain.decision import Event, earliest
from rollout.errors import CoalmineError, InvalidSpec, Transient
from rollout.kube.cache import Key
from rollout.kube.resources import FAILURE_MODELS, ROLLOUTS

Json = dict[str, Any]
log = logging.getLogger("coalmine.models")

RETRY_SECONDS = 300.0
BUSY_SECONDS = 5.0
SETTLED_SECONDS = 120.0
"""Samples younger than this may still arrive."""


@dataclass
class _Memory:
    """What jobs found of a model since the operator began; the rest is in its status."""

    digest: str = ""
    certificate: Certificate | None = None
    drifted: str = ""
    problem: str = ""
    not_before: float = 0.0


class FailureModelController:
    """One turn of a FailureModel. Certificates are made one at a time: each takes a processor for minutes."""

    resource = FAILURE_MODELS

    def __init__(
        self,
        context: Context,
        session: aiohttp.ClientSession,
        jobs: Background,
        allowed: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._context, self._jobs = context, jobs
        self._provider = PrometheusProvider(session, allowed)
        self._memories: dict[Key, _Memory] = {}
        self._one_at_a_time = asyncio.Lock()

    async def reconcile(self, key: Key) -> float | None:
        """Take one turn; returns when to look again."""
        live = self._context.caches[FAILURE_MODELS].get(key)
        if live is None:
            self._memories.pop(key, None)
            return None
        try:
            model = msgspec.convert(live, FailureModel)
        except msgspec.ValidationError:
            # The API server's schema refuses this; an object from before the CRD's last version may still be there.
            return None
        now = self._context.now()
        sentinel = await self._sentinel(key, model.spec)
        world = self._observe(key, model, sentinel)
        status = decide(world, now)
        await publish(self._context, FAILURE_MODELS, live, status, _events(model.status, status))
        again = now + RETRY_SECONDS if sentinel is not None and sentinel.status != "True" else None
        return earliest(wakes_at(world, status, now), self._certify(key, model, status, now), again)

    async def _sentinel(self, key: Key, spec: FailureModelSpec) -> SentinelStanding | None:
        """What became of the model's sentinel: its artefact is read at each turn, which are few."""
        if spec.sentinel is None or validate_failure_model(spec):
            return None
        try:
            _, metrics = await self._measured(key, spec)
        except CoalmineError as error:
            return SentinelStanding("Unknown", "NoRun", f"it is not known whether it fits: {error}")
        return await standing(self._context.client, key[0], spec, metrics)

    async def _measured(self, key: Key, spec: FailureModelSpec) -> tuple[ModelSource, RunMetrics]:
        source = model_source(self._context.caches, key[0], spec)
        return source, run_metrics(source.run, await argument_secrets(self._context.client, key[0], source.run))

    async def _given(self, key: Key, spec: FailureModelSpec, metrics: RunMetrics) -> Applied:
        """What the model gives to runs; without its sentinel where that cannot be used, which its condition tells."""
        try:
            return await applied_whole(self._context.client, key[0], spec, metrics)
        except Transient:
            raise
        except CoalmineError:
            return applied(spec, metrics)

    def _observe(self, key: Key, model: FailureModel, sentinel: SentinelStanding | None) -> ModelWorld:
        memory = self._memory(key, model.spec)
        return ModelWorld(
            name=key[1],
            spec=model.spec,
            generation=model.metadata.generation,
            old=model.status,
            rollout_model=self._named_by_its_rollout(key[0], model.spec),
            certificate=memory.certificate,
            drifted=memory.drifted,
            problem=memory.problem,
            sentinel=sentinel,
        )

    def _memory(self, key: Key, spec: FailureModelSpec) -> _Memory:
        """What was found of this very spec; another one begins anew."""
        try:
            name = digest(spec)
        except InvalidSpec:
            name = ""
        memory = self._memories.setdefault(key, _Memory(name))
        if memory.digest != name:
            memory = self._memories[key] = _Memory(name)
        return memory

    def _named_by_its_rollout(self, namespace: str, spec: FailureModelSpec) -> str | None:
        live = self._context.caches[ROLLOUTS].get((namespace, spec.rollout_ref.name))
        if live is None:
            return None
        try:
            return model_of(msgspec.convert(live, Rollout))
        except msgspec.ValidationError:
            return None

    def _certify(self, key: Key, model: FailureModel, status: FailureModelStatus, now: float) -> float | None:
        """Start the job where it is due; returns when to look again for it."""
        memory = self._memory(key, model.spec)
        if sentinel_due(model.spec, status):
            memory.not_before = min(memory.not_before, now + RETRY_SECONDS)
        elif not certificate_due(status, now):
            made = status.certificate
            return now + RECERTIFY_SECONDS if made is not None else None
        if now < memory.not_before:
            return memory.not_before
        name = f"certify {key[0]}/{key[1]}"
        if self._jobs.is_running(name):
            return None  # Its end asks for a turn.
        started = self._jobs.start(name, lambda: self._job(key, model, memory))
        return None if started else now + BUSY_SECONDS

    async def _job(self, key: Key, model: FailureModel, memory: _Memory) -> None:
        try:
            async with self._one_at_a_time:
                trial, tally = await self._tried(key, model.spec)
            memory.certificate, memory.drifted, memory.problem = certificate(trial, tally), drifted(tally), ""
            memory.not_before = self._context.now() + RECERTIFY_SECONDS
        except CoalmineError as error:
            memory.problem, memory.not_before = str(error), self._context.now() + RETRY_SECONDS
        except Exception:
            memory.problem = "the certificate could not be made, see our log"
            memory.not_before = self._context.now() + RETRY_SECONDS
            raise
        finally:
            self._context.enqueue(FAILURE_MODELS, key)

    async def _tried(self, key: Key, spec: FailureModelSpec) -> tuple[Trial, Tally]:
        """Read held-out history piece by piece, and play each; nothing of it is kept but the outcomes."""
        source, metrics = await self._measured(key, spec)
        begin = held_out_from(spec)
        if begin is None:
            raise InvalidSpec("spec.training.to", "is empty, so it is not known which history is held out", "name it")
        begins = pieces_between(begin, self._context.now() - SETTLED_SECONDS, source.segment_seconds)
        given = await self._given(key, spec, metrics)
        trial = trial_of(given, metrics, source.plan, len(begins), source.segment_seconds)
        tally = Tally()
        for number, begins_at in enumerate(begins):
            piece = await read_piece(source.history(metrics), self._provider, begins_at, source.segment_seconds)
            await self._played(trial, tally, number, piece)
        if not tally.placebos:
            problem = f"gives no placebo: {len(begins)} pieces were read, and in none two pods had data"
            raise InvalidSpec("held-out history", problem, "wait for more of it, and look at the template's queries")
        log.info("model %s/%s: %d placebos of %d pieces", *key, len(tally.placebos), len(begins))
        return trial, tally

    async def _played(self, trial: Trial, tally: Tally, number: int, piece: Piece) -> None:
        """Play one piece beside the turns, and leave them as much time as it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.to_thread(lambda: [*played(trial, tally, number, piece)])
        await asyncio.sleep(loop.time() - began)


def _events(old: FailureModelStatus, new: FailureModelStatus) -> tuple[Event, ...]:
    told = _about_sentinel(old, new)
    if old.phase == new.phase:
        return told
    condition = new.conditions[0]
    good = new.phase in ("Active", "Shadow", "Candidate", "Retired")
    return (Event("Normal" if good else "Warning", f"FailureModel{new.phase}", condition.message), *told)


def _about_sentinel(old: FailureModelStatus, new: FailureModelStatus) -> tuple[Event, ...]:
    before, now = (next((c for c in status.conditions if c.type == SENTINEL), None) for status in (old, new))
    if now is None or now.status != "False" or (before is not None and before.reason == now.reason):
        return ()
    return (Event("Warning", f"Sentinel{now.reason}", now.message),)
