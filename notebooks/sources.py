"""Where a notebook's history comes from: a simulated service, the sandbox, a Prometheus of yours, or a file.

Everything else in the notebooks is the product's own code; here its `SeriesProvider` is filled by prometheus-api-client,
the library that people of notebooks know.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import yaml
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from requests import RequestException

from analysis.authoring.filled import Filled
from analysis.comparison_spec import FailureModelRef
from analysis.durations import format_time, parse_duration, parse_time
from analysis.errors import MeasurementError
from analysis.evidence.metric_parts import prior
from analysis.evidence.table import Table
from analysis.expr.nodes import Value
from analysis.failure_model_spec import FailureModelSpec, ModelMetric, TrainingProvenance
from analysis.judge import Facts, MetricData, advance, begin_run, conclude
from analysis.judgement import DataState, WeightChange
from analysis.model.history import (
    SEGMENT_SECONDS,
    HistorySource,
    Piece,
    arms_of_history,
    data_digest,
    pieces_between,
    query_digests,
    read_pieces,
)
from analysis.model.history_file import decode_history
from analysis.model.validate import validate_failure_model
from analysis.providers.prometheus import recorded_matrix
from analysis.record import RunRecorder
from analysis.rules import RunRules
from analysis.series.raw import RawSeries
from analysis.simulation.catalogue import scenario
from analysis.simulation.generate import history as simulated_history
from analysis.simulation.generate import simulate
from analysis.simulation.rollout import STARTED_AT
from analysis.spec import Metric
from analysis.verdict import Verdict
from rollout.cli.explain import read_record, unpacked
from rollout.cli.template_files import choose, filled, read_documents
from rollout.errors import CoalmineError
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import CONFIG_MAPS

TEMPLATE = Path(__file__).with_name("checkout-health.yaml")
DAY_SECONDS = 86_400.0
WEIGHT_INCREASES = 4
"""Of `analysis.model.plan.DEFAULT_PLAN`: 5, 10, 25 and 50 %."""
SIMULATED_TODAY = 1_800_000_000.0
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class History:
    """What a notebook works on.

    Attributes:
        title: for plots.
        template: that was filled in.
        pieces: of history, stable pods only, oldest first.
        truth: whether it was simulated, so that what a notebook claims can be checked.
    """

    title: str
    rollout: str
    namespace: str
    template: Filled
    pieces: tuple[Piece, ...]
    truth: bool = False

    @property
    def rules(self) -> RunRules:
        """Rules of a run by the template."""
        return self.template.rules

    @property
    def query_digests(self) -> dict[str, str]:
        """Of each metric: what was learned about one query says nothing about another."""
        return query_digests(_metrics(self.template))

    @property
    def segment_seconds(self) -> float:
        """Length of a piece."""
        return max(table.windows * table.interval_seconds for table in self.pieces[0].tables.values())

    def tables(self, metric: str) -> tuple[Table, ...]:
        """All pieces of one metric."""
        return tuple(piece.tables[metric] for piece in self.pieces if metric in piece.tables)

    def halves(self) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
        """An older half to learn from, and a newer one that is held out."""
        middle = len(self.pieces) // 2
        return self.pieces[:middle], self.pieces[middle:]

    def claim(self, words: str, holds: bool) -> None:
        """Say whether something holds; of the simulated service it must."""
        assert holds or not self.truth, words
        print(f"{'yes' if holds else 'NO '}  {words}")


def simulated(environment: str = "base", days: int = 3, seed: int = 7) -> History:
    """A service of `analysis.simulation`: ten pods, a new release every day; the same numbers on every machine."""
    world = scenario(environment).world
    pieces: list[Piece] = []
    for day in range(days):
        begin = SIMULATED_TODAY + (day - days) * DAY_SECONDS
        rollout = simulated_history(1000 * seed + day, world, DAY_SECONDS)
        tables = {name: _named(table, f"checkout-{day:06x}ab") for name, table in rollout.tables.items()}
        pieces += _cut(tables, begin)
    return History(
        f"simulated service ({environment})", "checkout", "shop", fill_template(TEMPLATE, {}), tuple(pieces), truth=True
    )


def my_prometheus(
    address: str,
    *,
    rollout: str,
    namespace: str,
    begin: str,
    end: str,
    template: str | Path = TEMPLATE,
    segment: str = "40m",
    args: Mapping[str, str] | None = None,
) -> History:
    """A Rollout's pods in a Prometheus server, between two times of RFC 3339.

    Args:
        address: such as http://127.0.0.1:9090.
        template: file with the AnalysisTemplate, or the name of a preset.
        segment: length of a piece.
        args: of the template; `prometheus` is the address.

    Raises:
        MeasurementError: there is no usable answer, or nothing in it; it says which metrics these pods do have.
    """
    chosen = fill_template(template, {"prometheus": address, **(args or {})})
    begins = pieces_between(parse_time(begin), parse_time(end), parse_duration(segment))
    source = HistorySource(chosen.rules, _metrics(chosen), namespace, arms_of_history(rollout))
    client = PrometheusConnect(url=address, timeout=TIMEOUT_SECONDS)
    pieces = tuple(_waited(_read(source, ApiClientProvider(client), begins, parse_duration(segment))))
    if not pieces:
        known = ", ".join(metrics_of(client, namespace)) or "none"
        raise MeasurementError(f"no pods of {namespace}/{rollout} have the template's metrics; found: {known}")
    return History(f"{namespace}/{rollout}", rollout, namespace, chosen, pieces)


def sandbox(
    folder: str | Path = "../.sandbox",
    *,
    rollout: str = "checkout",
    namespace: str = "default",
    hours: float = 384.0,
    segment: str = "40m",
    template: str | Path = TEMPLATE,
) -> History:
    """A Rollout of a running sandbox, the last so many hours: by default what `coalmine sandbox past` gives it."""
    places = json.loads((Path(folder) / "ready.json").read_text())["places"]
    now = time.time()
    begin, end = (format_time(at) for at in (now - hours * 3600, now - 60))
    return my_prometheus(
        places["prometheus"],
        rollout=rollout,
        namespace=namespace,
        begin=begin,
        end=end,
        segment=segment,
        template=template,
    )


def recorded(path: str | Path, *, rollout: str, namespace: str, template: str | Path = TEMPLATE) -> History:
    """History in a file, as `analysis.model.history_file` writes it."""
    pieces = decode_history(Path(path).read_bytes())
    return History(Path(path).name, rollout, namespace, fill_template(template, {}), pieces)


def fill_template(path: str | Path, args: Mapping[str, str]) -> Filled:
    """The template of a file as a run would have it."""
    documents = read_documents([str(path)])
    chosen = choose(documents, None)
    known = {arg.name for document in documents for arg in document.template.args}
    given = {name: value for name, value in args.items() if name in known}
    return filled(documents, chosen, given, weight_increases=WEIGHT_INCREASES)


def metrics_of(client: PrometheusConnect, namespace: str) -> list[str]:
    """Names of all metrics that pods of a namespace have."""
    now = datetime.now(UTC)
    series = client.get_series(now - timedelta(days=14), now, {"match[]": f'{{namespace="{namespace}"}}'})
    return sorted({one["__name__"] for one in series})


@dataclass(frozen=True)
class ApiClientProvider:
    """Raw samples by prometheus-api-client: `selector[range]` as an instant query, as the operator asks."""

    client: PrometheusConnect

    async def measure(self, metric: Metric, now: float) -> Value:
        """Refuse: only comparisons are learned about."""
        raise MeasurementError(f'metric "{metric.name}" is no comparison')

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        """Return the raw samples in (start, end]."""
        span_ms = max(round((end - start) * 1000), 1)
        try:
            found = self.client.custom_query(f"{selector.strip()}[{span_ms}ms]", params={"time": f"{end:.3f}"})
        except (PrometheusApiClientException, RequestException, ValueError) as error:
            raise MeasurementError(f"Prometheus gave no usable answer: {type(error).__name__}") from None
        # The library leaves values and native histograms as they came; the product's own reader takes them apart.
        answer = {"status": "success", "data": {"resultType": "matrix", "result": found}}
        return recorded_matrix(json.dumps(answer).encode())


async def _read(
    source: HistorySource, provider: ApiClientProvider, begins: tuple[float, ...], seconds: float
) -> list[Piece]:
    return [piece async for piece in read_pieces(source, provider, begins, seconds)]


def _waited(work: Any) -> Any:
    """Run to its end, in a notebook too, whose own loop runs already."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


def _metrics(template: Filled) -> dict[str, Metric]:
    return {metric.name: metric for metric in template.metrics if metric.comparison is not None}


def _named(table: Table, prefix: str) -> Table:
    pods = tuple(f"{prefix}-{pod}" for pod in table.stable.pods)
    return replace(table, stable=replace(table.stable, pods=pods))


def _cut(tables: Mapping[str, Table], begin: float) -> list[Piece]:
    windows, seconds = next((table.windows, table.interval_seconds) for table in tables.values())
    size = round(SEGMENT_SECONDS / seconds)
    return [
        Piece(
            begin + first * seconds,
            {name: replace(table.cut(first, first + size), first=0) for name, table in tables.items()},
        )
        for first in range(0, windows - size + 1, size)
    ]


def draft(history: History, pieces: Sequence[Piece], learned: Sequence[ModelMetric]) -> FailureModelSpec:
    """What was learned from some pieces, as a FailureModel that is not tried yet; raises InvalidSpec."""
    window = min(rule.interval_seconds for rule in history.rules.rules)
    model = FailureModelSpec(
        rollout_ref=FailureModelRef(name=history.rollout),
        window=f"{window:g}s",
        training=TrainingProvenance(
            from_=format_time(pieces[0].began_at),
            to=format_time(pieces[-1].began_at + history.segment_seconds),
            segments=len(pieces),
            segment_duration=f"{history.segment_seconds / 60:g}m",
            data_digest=data_digest(pieces),
            engine=f"coalmine {version('coalmine')}",
        ),
        metrics=tuple(learned),
    )
    for problem in validate_failure_model(model):
        raise problem
    return model


def written(model: FailureModelSpec) -> str:
    """The manifest of a model."""
    manifest = {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "FailureModel",
        "metadata": {"name": model.rollout_ref.name},
        "spec": msgspec.to_builtins(model),
    }
    return yaml.safe_dump(manifest, sort_keys=False, width=120)


def simulated_record(name: str, seed: int) -> bytes:
    """The record that a run of a simulated release such as `base:err_x2` keeps, up to its failure if it fails."""
    place, rules = scenario(name), fill_template(TEMPLATE, {}).rules
    release = simulate(seed, place.world, place.fault)
    weights = tuple(WeightChange(float(at), round(100 * share)) for at, share in release.weight_changes())
    state = begin_run(rules, STARTED_AT, {rule.name: prior(rule) for rule in rules.rules})
    recorder, kept = RunRecorder(), b""
    for window in range(1, release.windows + 1):
        facts = Facts(STARTED_AT + window * release.window_seconds, weights)
        begins = {rule.name: state.running_from(rule.name) for rule in rules.rules}
        data = {
            name: MetricData(
                release.tables[name].cut(begin, window), release.raw[name].cut(begin, window), DataState.COLLECTING
            )
            for name, begin in begins.items()
        }
        state, running, finished = advance(state, facts, data)
        recorder.add(finished)
        kept = recorder.encode(state, facts, running)
        if conclude(state, facts, running).verdict is Verdict.FAIL:
            break
    return kept


def record_of_file(path: str | Path) -> bytes:
    """A record that was kept in a file, gzipped or not."""
    return read_record(Path(path))


def record_of_cluster(run: str, *, namespace: str, kubeconfig: str | Path | None = None) -> bytes:
    """The record of an AnalysisRun, from its ConfigMap; raises CoalmineError or RecordError."""

    async def read() -> bytes:
        connection = Connection(None if kubeconfig is None else str(kubeconfig))
        try:
            found = await KubeClient(connection).get(CONFIG_MAPS, namespace, f"{run}-record")
        finally:
            await connection.close()
        if found is None:
            raise CoalmineError(f"there is no ConfigMap {namespace}/{run}-record; a run keeps its record when it ends")
        return unpacked(found)

    record: bytes = _waited(read())
    return record
