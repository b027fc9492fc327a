"""A past that is imported into the sandbox's Prometheus is read as history is, and the notebooks learn from it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
import pytest
import yaml
from aiohttp import web

from analysis.model.binomial import upper_bound
from analysis.model.history import HistorySource, arms_of_history, pieces_between, read_piece
from analysis.percent import parse_percent
from analysis.providers.prometheus import PrometheusProvider
from rollout.api.rollout import Rollout
from rollout.api.validate_rollout import validate_rollout
from rollout.cli.template_files import choose, filled, read_documents
from rollout.controllers.model_source import model_of
from rollout.sandbox.demo import manifests, tuning
from rollout.sandbox.demo.observer import read_second
from rollout.sandbox.demo.past import DAYS, VERSION, past_lines
from rollout.sandbox.prometheus.api import make_app
from rollout.sandbox.prometheus.past import Past, PastRefused, line_of
from rollout.sandbox.prometheus.store import Store
from tests.support.api_process import ROOT

NOW = 1_800_000_000.0
TEMPLATE = ROOT / "notebooks" / "checkout-health.yaml"


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    store = Store(folder)
    runner = web.AppRunner(make_app(store), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        store.close()


def line(values: list[float], first_ms: int = 1000, **labels: str) -> bytes:
    times = np.arange(len(values)) * 1000.0 + first_ms
    return line_of({"__name__": "x_total", **labels}, times, np.array(values))


def test_a_past_is_selected_by_labels_and_time_and_survives_a_restart(tmp_path: Path) -> None:
    past = Past(tmp_path)
    past.add(line([1, 2, 3], pod="a") + line([5], pod="b"))
    past.add(line([4], first_ms=4000, pod="a"))
    for seen in (past, Past(tmp_path)):
        found = {labels["pod"]: samples.tolist() for labels, samples in seen.select((), 1000, 4000)}
        assert found == {"a": [[2000.0, 2.0], [3000.0, 3.0], [4000.0, 4.0]]}


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b'{"metric": {}, "values": [1, 2], "timestamps": [1]}',
        b'{"metric": {}, "values": [], "timestamps": []}',
        b'{"metric": {"a": "b"}, "values": [1, 2], "timestamps": [2, 1]}',
        b'{"metric": {"a": 1}, "values": [1], "timestamps": [1]}',
    ],
)
def test_lines_that_are_no_history_are_refused_and_nothing_of_them_is_kept(tmp_path: Path, body: bytes) -> None:
    past = Past(tmp_path)
    with pytest.raises(PastRefused):
        past.add(line([1]) + body)
    assert past.select((), 0, 10_000) == []
    assert Past(tmp_path).select((), 0, 10_000) == []


def test_the_past_of_a_rollout_is_read_as_the_history_of_its_pods(tmp_path: Path) -> None:
    async def read() -> None:
        async with serving(tmp_path) as address, aiohttp.ClientSession() as session:
            for one in past_lines("shop", "checkout", 4, NOW, days=0.2):
                async with session.post(f"{address}/api/v1/import", data=one) as response:
                    assert response.status == 204
            documents = read_documents([str(TEMPLATE)])
            template = filled(documents, choose(documents, None), {"prometheus": address})
            metrics = {metric.name: metric for metric in template.metrics}
            source = HistorySource(template.rules, metrics, "shop", arms_of_history("checkout"))
            piece = await read_piece(source, PrometheusProvider(session), NOW - 3000)
            table = piece.tables["errors"]
            assert [pod[: len(f"checkout-{VERSION}")] for pod in table.stable.pods] == [f"checkout-{VERSION}"] * 4
            assert table.windows == 80
            rate = table.stable.amounts[:, :, 0].sum() / table.stable.amounts[:, :, 1].sum()
            assert 0.01 < rate < 0.2
            assert set(piece.tables) == {"errors"}, "the past has requests and errors only"

    asyncio.run(read())


def test_an_import_that_is_refused_says_why(tmp_path: Path) -> None:
    async def read() -> None:
        async with (
            serving(tmp_path) as address,
            aiohttp.ClientSession() as session,
            session.post(f"{address}/api/v1/import", data=b"{}") as response,
        ):
            assert response.status == 400
            assert "import" in json.loads(await response.text())["error"]

    asyncio.run(read())


def test_the_rollout_of_the_tuning_names_the_model_that_is_fitted_for_it() -> None:
    text = manifests.rollout("shop:1.0", "http://127.0.0.1:9090", model=tuning.MODEL, budget=tuning.BUDGET)
    rollout = msgspec.convert(yaml.safe_load(text), Rollout)
    assert model_of(rollout) == "shop"
    assert validate_rollout(rollout.spec) == ()
    plain = msgspec.convert(yaml.safe_load(manifests.rollout("shop:1.0", "http://127.0.0.1:9090")), Rollout)
    assert model_of(plain) == ""


def test_the_past_is_long_enough_to_certify_the_budget_of_the_tuning_with_four_false_rollbacks() -> None:
    held_out_seconds = (DAYS - tuning.TRAINING_DAYS) * tuning.DAY_SECONDS
    pieces = len(pieces_between(0.0, held_out_seconds))
    assert upper_bound(4, pieces) <= parse_percent(tuning.BUDGET)


def test_the_last_seconds_are_read_wherever_the_tail_of_a_long_file_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    arms = {"1.0": {"ok": 5, "errors": 1}, "1.1": {"ok": 2, "errors": 0}}
    lines = "".join(json.dumps({"t": second, "arms": arms, "failed": 0}) + "\n" for second in range(1000))
    for padding in range(120):
        path.write_text(lines + "\n" * padding)
        seen, failed = read_second(path, 999.0)
        assert (seen["1.0"].total, seen["1.0"].errors, failed) == (6, 1, 0)
