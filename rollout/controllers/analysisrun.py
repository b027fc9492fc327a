"""The AnalysisRun's turns: decide what is due, measure in jobs beside the turns, publish what a user sees."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from analysis.durations import parse_time
from analysis.judgement import Judgement
from analysis.measure import Judged, Look, RunMeasurer
from analysis.providers.prometheus import PrometheusProvider
from analysis.run import decide, expires_at
from analysis.run_spec import WEIGHTS_ANNOTATION, AnalysisRunSpec, AnalysisRunStatus
from analysis.weights import parse_weights
from analysis.world import LookDue, MeasurementDue, MetricMeasured, RunDecision, RunWorld
from rollout.api.analysis import AnalysisRun
from rollout.controllers.argument_secrets import argument_secrets
from rollout.controllers.background import Background
from rollout.controllers.context import Context, publish
from rollout.controllers.pinned_model import pinned_model
from rollout.controllers.pods_seen import PodsSeen
from rollout.controllers.run_record import keep_record
from rollout.controllers.terms import hash_term
from rollout.domain.decision import Event, earliest
from rollout.errors import CoalmineError, InvalidSpec, Transient
from rollout.kube.cache import Key
from rollout.kube.resources import ANALYSIS_RUNS, PODS

Json = dict[str, Any]

MEASURED_KEPT = 200
RETRY_SECONDS = 5.0
FAULTS_MAX = 4
"""Faults of ours in a row that end a run: an analysis that cannot look is no analysis."""
BUSY_SECONDS = 1.0


@dataclass
class _Memory:
    """What is known of a run beside its object; lost at a restart, and measured again then."""

    measurer: RunMeasurer | None = None
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Jobs begin together, and share one measurer."""
    judgement: Judgement | None = None
    measured: deque[MetricMeasured] = field(default_factory=lambda: deque(maxlen=MEASURED_KEPT))
    in_flight: set[str] = field(default_factory=set)
    looking: bool = False
    pods: PodsSeen = field(default_factory=PodsSeen)
    final: Judged | None = None
    """What the run ended with; a look that ends later changes nothing."""
    record_digest: str | None = None
    """Of the record that was kept of the end, empty where none could be; None until that is known."""
    problem: str = ""
    """Why the run cannot be measured at all; the next turn ends it by that."""
    faults: int = 0
    not_before: float = 0.0
    """Epoch seconds of the next try after a job that failed."""


class AnalysisRunController:
    """One turn of an AnalysisRun; measurements are jobs, so that no query stands in the way of a verdict."""

    resource = ANALYSIS_RUNS

    def __init__(
        self,
        context: Context,
        session: aiohttp.ClientSession,
        jobs: Background,
        allowed: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._context, self._jobs = context, jobs
        self._provider = PrometheusProvider(session, allowed)
        self._memories: dict[str, _Memory] = {}
        self._uids: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Take one turn; returns when to look again."""
        live = self._context.caches[ANALYSIS_RUNS].get(key)
        if live is None:
            self._memories.pop(self._uids.pop(key, ""), None)
            return None
        run = msgspec.convert(live, AnalysisRun)
        if run.status.phase.completed:
            return await self._finished(key, live, run)
        memory = self._memory(key, live)
        now = self._context.now()
        decision = self._decided(run, memory, now)
        events = tuple(Event("Warning" if e.warning else "Normal", e.reason, e.message) for e in decision.events)
        await publish(self._context, ANALYSIS_RUNS, live, decision.status, events)
        if memory.final is not None:
            return now  # The next turn finds the run ended, and keeps the record of it.
        if decision.due and now < memory.not_before:
            return earliest(decision.wake_at, memory.not_before)
        started = [self._start(key, decision.status, due) for due in decision.due]
        return decision.wake_at if all(started) else earliest(decision.wake_at, now + BUSY_SECONDS)

    def _decided(self, run: AnalysisRun, memory: _Memory, now: float) -> RunDecision:
        """Decide, and remember what the run ended with: its end may have to be told more than once."""
        world = RunWorld(
            run.spec,
            run.status,
            tuple(memory.measured),
            memory.final.judgement if memory.final is not None else memory.judgement,
            frozenset(memory.in_flight),
            looking=memory.looking,
            problem=memory.problem,
            largest_log_evidence=memory.measurer.largest_log_evidence if memory.measurer else None,
        )
        decision = decide(world, now)
        if not decision.status.phase.completed or memory.problem or memory.measurer is None:
            memory.final = None
        else:
            memory.final = memory.final or memory.measurer.last
        return decision

    async def _finished(self, key: Key, live: Json, run: AnalysisRun) -> float | None:
        memory = self._memories.get(live["metadata"]["uid"])
        if memory is not None and memory.final is not None and memory.measurer is not None:
            if memory.record_digest is None:
                return self._keep_record(key, live, memory, memory.measurer, memory.final)
            await self._tell_record(live, run, memory.record_digest)
        self._memories.pop(live["metadata"]["uid"], None)
        at = expires_at(run.spec, run.status)
        if at is not None and self._context.now() >= at:
            await self._context.client.delete(ANALYSIS_RUNS, key[0], key[1], uid=live["metadata"]["uid"])
            return None
        return at

    def _keep_record(self, key: Key, live: Json, memory: _Memory, measurer: RunMeasurer, ended: Judged) -> float | None:
        """Keep the record of an end beside the turns, so that no verdict of another run waits for it."""
        name = f"AnalysisRun {live['metadata']['uid']} record"
        if self._jobs.is_running(name):
            return None  # Its end asks for a turn.

        async def work() -> None:
            try:
                memory.record_digest = await keep_record(self._context, live, measurer, ended)
            finally:
                memory.record_digest = memory.record_digest or ""
                self._context.enqueue(ANALYSIS_RUNS, key)

        return None if self._jobs.start(name, work) else self._context.now() + BUSY_SECONDS

    async def _tell_record(self, live: Json, run: AnalysisRun, digest: str) -> None:
        if run.status.comparison is None or not digest:
            return
        comparison = msgspec.structs.replace(run.status.comparison, record_digest=digest)
        status = msgspec.structs.replace(run.status, comparison=comparison)
        await publish(self._context, ANALYSIS_RUNS, live, status, ())

    def _memory(self, key: Key, live: Json) -> _Memory:
        uid = live["metadata"]["uid"]
        former = self._uids.get(key, uid)
        if former != uid:
            self._memories.pop(former, None)
        if uid not in self._memories:
            self._forget_gone()
        self._uids[key] = uid
        return self._memories.setdefault(uid, _Memory())

    def _forget_gone(self) -> None:
        """Runs that were deleted while another replica led asked for no turn here."""
        gone = [key for key in self._uids if self._context.caches[ANALYSIS_RUNS].get(key) is None]
        for key in gone:
            self._memories.pop(self._uids.pop(key), None)

    def _start(self, key: Key, status: AnalysisRunStatus, due: MeasurementDue | LookDue) -> bool:
        """Start a measurement as a job; its result asks for the next turn. False where it has to be asked again."""
        live = self._context.caches[ANALYSIS_RUNS].get(key)
        if live is None:
            return True
        memory = self._memory(key, live)
        name = "look" if isinstance(due, LookDue) else f"measure {due.metric}"

        async def work() -> None:
            try:
                await self._measure(key, live, memory, status, due)
                memory.faults = 0
            except Exception as error:
                self._faulty(memory, error)
                raise
            finally:
                memory.in_flight.discard(due.metric if isinstance(due, MeasurementDue) else "")
                memory.looking = memory.looking and not isinstance(due, LookDue)
                self._context.enqueue(ANALYSIS_RUNS, key)

        if not self._jobs.start(f"AnalysisRun {live['metadata']['uid']} {name}", work):
            return False
        if isinstance(due, LookDue):
            memory.looking = True
        else:
            memory.in_flight.add(due.metric)
        return True

    async def _measure(
        self, key: Key, live: Json, memory: _Memory, status: AnalysisRunStatus, due: MeasurementDue | LookDue
    ) -> None:
        measurer = await self._measurer(memory, live, status)
        if isinstance(due, LookDue):
            memory.judgement = await measurer.look(self._look(key, live, memory, _began(status) or self._context.now()))
        else:
            memory.measured.append(await measurer.measure(due.metric, self._context.now))

    def _faulty(self, memory: _Memory, error: Exception) -> None:
        """Try again later what may go away by itself; a run that cannot be measured ends, so that nothing passes it."""
        memory.not_before = self._context.now() + RETRY_SECONDS
        if isinstance(error, Transient):
            return
        memory.faults += 1
        if isinstance(error, InvalidSpec):
            memory.problem = str(error)
        elif memory.faults >= FAULTS_MAX:
            words = str(error) if isinstance(error, CoalmineError) else f"{type(error).__name__}, see our log"
            memory.problem = f"measuring failed {memory.faults} times in a row: {words}"

    async def _measurer(self, memory: _Memory, live: Json, status: AnalysisRunStatus) -> RunMeasurer:
        async with memory.making:
            if memory.measurer is None:
                spec = msgspec.convert(live["spec"], AnalysisRunSpec)
                namespace = live["metadata"]["namespace"]
                secrets = await argument_secrets(self._context.client, namespace, spec)
                began = _began(status) or self._context.now()
                models = await pinned_model(self._context, live, spec, secrets)
                memory.measurer = RunMeasurer(spec, namespace, began, self._provider, secrets, models)
            return memory.measurer

    def _look(self, key: Key, live: Json, memory: _Memory, began_at: float) -> Look:
        now_live = self._context.caches[ANALYSIS_RUNS].get(key) or live
        annotation = (now_live["metadata"].get("annotations") or {}).get(WEIGHTS_ANNOTATION)
        self._see_pods(live, memory, began_at)
        try:
            weights = parse_weights(annotation) if annotation else None
        except ValueError as error:
            field = f"metadata.annotations[{WEIGHTS_ANNOTATION}]"
            raise InvalidSpec(field, str(error), "Coalmine writes it; leave it as it is") from error
        return Look(self._context.now(), weights, memory.pods.all())

    def _see_pods(self, live: Json, memory: _Memory, began_at: float) -> None:
        """Take in the pods of both arms as they are now."""
        arms = ((live["spec"].get("comparison") or {}).get("arms")) or {}
        hashes = {str((arm or {}).get("podTemplateHash") or "") for arm in arms.values()} - {""}
        terms = (hash_term(live["metadata"]["namespace"], pod_hash) for pod_hash in sorted(hashes))
        memory.pods.see((pod for term in terms for pod in self._context.caches[PODS].find(term)), began_at)


def _began(status: AnalysisRunStatus) -> float | None:
    """Epoch seconds of the run's start, once it was told."""
    return parse_time(status.started_at) if status.started_at else None
