"""A notebook works on a Prometheus server when its one cell is changed, and says what it misses there."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from analysis.durations import format_time
from analysis.simulation.export import raw_series
from analysis.simulation.generate import history
from analysis.simulation.rollout import STARTED_AT
from analysis.simulation.world import World
from rollout.sandbox.prometheus.api import make_app
from rollout.sandbox.prometheus.past import line_of
from rollout.sandbox.prometheus.store import Store
from tests.support.notebooks import model_in, read, run

HOURS = 8
BEGIN, END = (format_time(STARTED_AT + hours * 3600) for hours in (0, HOURS))
NAMES = {
    "requests": {"__name__": "http_requests_total", "code": "200"},
    "errors": {"__name__": "http_requests_total", "code": "500"},
    "latency": {"__name__": "http_request_duration_seconds_bucket"},
    "cpu": {"__name__": "process_cpu_seconds_total"},
}


def import_lines() -> Iterator[bytes]:
    """Eight hours of a service of five pods, as its pods were scraped."""
    for name, some in raw_series(history(3, World(stable_pods=5), HOURS * 3600.0)).items():
        for one in some if name in NAMES else ():
            labels = dict(one.labels)
            pod = f"checkout-5d8c7f9b6d-p{labels['pod'][-3:]}x"
            yield line_of({**labels, **NAMES[name], "namespace": "shop", "pod": pod}, one.times * 1000, one.values)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sandbox's Prometheus over HTTP, in a thread of its own."""
    store = Store(tmp_path_factory.mktemp("prometheus"))
    store.past.add(b"".join(import_lines()))
    store.past.add(line_of({"__name__": "up", "namespace": "elsewhere"}, np.array([STARTED_AT * 1000]), np.ones(1)))
    loop, runner = asyncio.new_event_loop(), web.AppRunner(make_app(store), shutdown_timeout=1.0)

    async def serve() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(serve(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        store.close()


def pointed_at(name: str, address: str, namespace: str) -> NotebookNode:
    """A notebook whose one cell names a server."""
    notebook = read(name)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    kept = [line for line in cell.source.splitlines() if not line.startswith(("history =", "#"))]
    where = f'"{address}", rollout="checkout", namespace="{namespace}", begin="{BEGIN}", end="{END}"'
    cell.source = "\n".join([*kept, f"history = my_prometheus({where})"])
    return notebook


def test_a_model_is_fitted_on_a_prometheus_server(address: str, tmp_path: Path) -> None:
    told = run(pointed_at("02-fit-a-failure-model", address, "shop"), tmp_path)
    assert "shop/checkout: learned from 6 pieces; 6 newer ones are held out" in told
    model = model_in(tmp_path / "failure-model-draft.yaml")
    assert [metric.name for metric in model.metrics] == ["errors", "latency", "cpu"]
    assert model.training.segments == 6
    assert 0.1 < float(model.metrics[0].noise.omega_squared) < 0.9, "the simulator's pods wander by 0.48"


def test_a_namespace_without_the_metrics_is_told_apart_from_a_healthy_one(address: str, tmp_path: Path) -> None:
    with pytest.raises(
        CellExecutionError, match="no pods of elsewhere/checkout have the template's metrics; found: up"
    ):
        run(pointed_at("01-history", address, "elsewhere"), tmp_path)
