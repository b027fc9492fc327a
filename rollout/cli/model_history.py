"""Which history is meant, and reading it: out of a metrics store or a file, with progress on standard error."""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from analysis.durations import format_time, parse_time
from analysis.errors import MeasurementError
from analysis.model.applied import RunMetrics
from analysis.model.history import (
    SEGMENT_SECONDS,
    HistorySource,
    Piece,
    arms_of_history,
    pieces_between,
    read_piece,
)
from analysis.model.history_file import MAX_BYTES, decode_history, encode_history
from analysis.model.learn.warm_up import AGES_SECONDS
from analysis.model.plan import DEFAULT_PLAN, Plan
from analysis.providers.prometheus import PrometheusProvider
from analysis.run_spec import Arm
from analysis.spec import Metric
from rollout.api.rollout import CanaryStrategy, Rollout
from rollout.cli.arguments import UsageError
from rollout.cli.target import tell
from rollout.cli.template_files import FileError, choose, filled, read_documents, settings_of
from rollout.controllers.model_source import plan_of
from rollout.controllers.observe import weight_increases
from rollout.errors import CoalmineError

DAYS_SECONDS = 3 * 86_400.0
SETTLED_SECONDS = 120.0
PROGRESS_SECONDS = 2.0


@dataclass(frozen=True)
class Question:
    """What history is wanted, and what for.

    Attributes:
        rollout: name of the Rollout.
        begins: epoch seconds of the pieces; of a file, those it has after `after`.
        recorded: file to read instead of a store.
        record: file to keep what was read in.
        learns: whether a model is learned, which needs young pods too.
    """

    rollout: str
    namespace: str
    metrics: RunMetrics
    source: HistorySource
    plan: Plan
    begins: tuple[float, ...]
    after: float
    recorded: Path | None
    record: Path | None
    learns: bool = False


def asked(arguments: argparse.Namespace, trained_until: str = "") -> Question:
    """What the command line asks for; raises UsageError, FileError or InvalidSpec.

    Args:
        arguments: of the command line.
        trained_until: history before this time was learned from, so that it cannot certify.
    """
    documents = read_documents(arguments.files)
    chosen = choose(documents, arguments.template)
    rollout = chosen.rollout
    name = arguments.rollout or (rollout.metadata.name if rollout else "")
    if not name:
        raise UsageError("name the --rollout whose history it is, or give its file")
    canary = (rollout.spec.strategy.canary if rollout else None) or CanaryStrategy()
    settings = settings_of(chosen, arguments.budget, arguments.warm_up)
    template = filled(
        documents, chosen, dict(arguments.arg), settings, weight_increases=weight_increases(canary) if rollout else 4
    )
    if not template.rules.rules:
        raise CoalmineError(f"{chosen.title} has no comparison, so there is nothing to learn")
    by_name = {metric.name: _at(metric, arguments.address) for metric in template.metrics if metric.comparison}
    metrics = RunMetrics(by_name, template.rules)
    namespace = arguments.namespace or _namespace(rollout)
    arms = arms_of_history(name, _stable(rollout, canary))
    begin, end = _times(arguments, trained_until)
    return Question(
        rollout=name,
        namespace=namespace,
        metrics=metrics,
        source=HistorySource(template.rules, by_name, namespace, arms),
        plan=plan_of(rollout) if rollout else DEFAULT_PLAN,
        begins=pieces_between(begin, end),
        after=parse_time(trained_until) if trained_until else 0.0,
        recorded=arguments.history,
        record=arguments.record,
        learns=not trained_until,
    )


def _at(metric: Metric, address: str | None) -> Metric:
    prometheus = metric.provider.prometheus
    if not address or prometheus is None:
        return metric
    moved = msgspec.structs.replace(prometheus, address=address)
    return msgspec.structs.replace(metric, provider=msgspec.structs.replace(metric.provider, prometheus=moved))


def _namespace(rollout: Rollout | None) -> str:
    return (rollout.metadata.namespace if rollout else "") or "default"


def _stable(rollout: Rollout | None, canary: CanaryStrategy) -> Arm:
    return Arm(pod_template_hash=rollout.status.stable_rs if rollout else "", service=canary.stable_service)


def _times(arguments: argparse.Namespace, trained_until: str) -> tuple[float, float]:
    end = _time(arguments.end, "--to") if arguments.end else time.time() - SETTLED_SECONDS
    if arguments.begin:
        begin = _time(arguments.begin, "--from")
    else:
        begin = parse_time(trained_until) if trained_until else end - DAYS_SECONDS
    if trained_until and begin < parse_time(trained_until):
        raise UsageError(f"--from is before {trained_until}, and the model was learned from that")
    if end - begin < SEGMENT_SECONDS and arguments.history is None:
        raise UsageError("from --from to --to it must be forty minutes at least")
    return begin, end


def _time(text: str, flag: str) -> float:
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{flag}: {error}") from error


def read(question: Question) -> tuple[Piece, ...]:
    """The pieces of history; raises FileError, InvalidSpec or MeasurementError."""
    if question.recorded is not None:
        pieces = tuple(piece for piece in _of_file(question.recorded) if piece.began_at >= question.after)
    else:
        pieces = asyncio.run(_of_store(question))
    if not pieces:
        raise CoalmineError("that history has no data of these metrics; look at --from, --rollout and --namespace")
    if question.record is not None:
        try:
            question.record.write_bytes(encode_history(pieces))
        except OSError as error:
            raise FileError(f"{question.record} cannot be written: {error.strerror}") from error
        tell(f"{len(pieces)} pieces kept in {question.record}")
    return pieces


def _of_file(path: Path) -> tuple[Piece, ...]:
    try:
        with path.open("rb") as file:
            return decode_history(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error


async def _of_store(question: Question) -> tuple[Piece, ...]:
    progress = Progress("pieces of history read", len(question.begins))
    pieces = []
    async with aiohttp.ClientSession() as session:
        provider = PrometheusProvider(session)
        for begin in question.begins:
            try:
                piece = await read_piece(question.source, provider, begin, ages=AGES_SECONDS if question.learns else ())
            except MeasurementError as error:
                remedy = "--address names the store as it is reached from here, such as http://127.0.0.1:9090"
                raise MeasurementError(
                    f"history from {format_time(begin)} on cannot be read: {error}; {remedy}"
                ) from error
            pieces += [piece] if piece.tables else []
            progress.step()
    return tuple(pieces)


class Progress:
    """Says on standard error how far something is, from two seconds on."""

    def __init__(self, words: str, whole: int) -> None:
        self._words, self._whole, self._done = words, whole, 0
        self._told_at = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._told_at = time.monotonic()
            end = "\r" if sys.stderr.isatty() else "\n"
            print(f"{self._done} of {self._whole} {self._words}", end=end, file=sys.stderr, flush=True)
