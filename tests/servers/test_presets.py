"""Every preset against what its component really prints: two scrapes of canary and stable, by the real client."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest
import yaml
from aiohttp import web

from analysis.evidence.guards import PodSeen
from analysis.judgement import DataState, Judgement, MetricJudgement
from analysis.measure import Look, RunMeasurer
from analysis.presets.load import preset, presets
from analysis.providers.prometheus import PrometheusProvider
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import CLUSTER_ANALYSIS_TEMPLATES, CUSTOM_RESOURCE_DEFINITIONS
from rollout.sandbox.prometheus.api import make_app
from rollout.sandbox.prometheus.store import Store
from tests.support.api_process import ROOT, embedded_server
from tests.support.preset_cases import (
    CANARY_POD,
    CASES,
    NAMESPACE,
    STABLE_POD,
    TEXTS,
    Case,
    Labels,
    Pair,
    Scrapes,
    Slower,
    assert_as_expected,
    measured,
    run_of,
)

FIRST, SECOND = 1_700_000_000.0, 1_700_000_030.0
# The first text is there twice: a series that appears in a pod's second scrape may have been missed in its first.
# A window counts when the store has shown two scrapes after it; nothing happens in those.
LAST = FIRST + 180.0
MOMENTS = ((FIRST - 30, 0), (FIRST, 0), *((moment, 1) for moment in np.arange(SECOND, LAST + 1, 30.0).tolist()))


def relabelled(text: str, rules: Sequence[Mapping[str, Any]], target: Labels) -> str:
    """Return an exposition as Prometheus keeps it: labels of the target win, and then metricRelabelings are applied."""
    lines = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line).groups()  # type: ignore[union-attr]
        own = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
        kept = {f"exported_{key}" if key in target else key: text for key, text in own.items()} | target
        for rule in rules:
            joined = rule.get("separator", ";").join(kept.get(source, "") for source in rule["sourceLabels"])
            match = re.fullmatch(rule["regex"], joined)
            if match:
                kept[rule["targetLabel"]] = match.expand(rule["replacement"].replace("$", "\\"))
        written = ",".join(f'{key}="{text}"' for key, text in kept.items())
        lines.append(f"{name}{{{written}}} {value}")
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def metrics_store(case: Case, folder: Path) -> AsyncIterator[str]:
    """Serve the sandbox's store with both scrapes in it."""
    store = Store(folder)
    rules = yaml.safe_load(preset(case.preset).relabelings) or []
    for moment, number in MOMENTS:
        for name, target in case.scraped:
            text = (TEXTS / f"{name}.{number}.txt").read_text()
            assert store.take(int(moment * 1000), {}, relabelled(text, rules, target))
    runner = web.AppRunner(make_app(store))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        store.close()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_preset_finds_both_arms_in_what_its_component_prints(case: Case, tmp_path: Path) -> None:
    async def ask() -> None:
        async with metrics_store(case, tmp_path) as address, aiohttp.ClientSession() as session:
            scrapes = Scrapes(FIRST - 60, SECOND, SECOND)
            assert_as_expected(case, await measured(case, address, PrometheusProvider(session), scrapes))

    asyncio.run(ask())


def of_the_engine(case: Case, metric: MetricJudgement) -> dict[str, Pair]:
    """Return what the engine counted, by the keys of the case; levels and slopes are sums of nothing."""
    roles = {"requests": ("events", "total"), "pod-seconds": ("events", ""), "load": ("used", "load")}[metric.unit]
    if metric.family == "Histogram":
        roles = ("", "buckets")
    told = ((metric.canary.events, metric.stable.events), (metric.canary.total, metric.stable.total))
    return {f"{metric.name}.{role}": pair for role, pair in zip(roles, told, strict=True) if role}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_engine_counts_what_a_preset_selects(case: Case, tmp_path: Path) -> None:
    async def look() -> Judgement:
        async with metrics_store(case, tmp_path) as address, aiohttp.ClientSession() as session:
            run = run_of(case, address, warm_up="0s")
            at_once = tuple(msgspec.structs.replace(metric, initial_delay="") for metric in run.metrics)
            run = msgspec.structs.replace(run, metrics=at_once)
            measurer = RunMeasurer(run, NAMESPACE, FIRST, PrometheusProvider(session))
            old = [PodSeen(pod, FIRST - 3600) for pod in (CANARY_POD, STABLE_POD)]
            return await measurer.look(Look(LAST, pods=old))

    judgement = asyncio.run(look())
    assert {metric.name for metric in judgement.metrics} == {key.split(".")[0] for key in case.expected}
    for metric in judgement.metrics:
        assert (metric.state, metric.problems) == (DataState.COLLECTING, ()), metric.name
        assert metric.canary.pods == metric.stable.pods == 1
        if metric.family not in {"Level", "Growth"}:
            for key, pair in of_the_engine(case, metric).items():
                expected = case.expected[key]
                assert pair == pytest.approx(expected.requests if isinstance(expected, Slower) else expected), key


def test_every_preset_is_tried() -> None:
    assert {case.preset for case in CASES} == {preset.name for preset in presets()}


def test_the_api_server_takes_every_preset_as_it_is(tmp_path: Path) -> None:
    async def install(kubeconfig: Path) -> list[str]:
        connection = Connection(str(kubeconfig))
        try:
            client = KubeClient(connection)
            for path in sorted((ROOT / "crds").glob("coalmine.dev_*.yaml")):
                await client.create(CUSTOM_RESOURCE_DEFINITIONS, yaml.safe_load(path.read_text()))
            answers = [
                await client.apply(CLUSTER_ANALYSIS_TEMPLATES, yaml.safe_load(one.text), manager="test")
                for one in presets()
            ]
            return [answer["metadata"]["name"] for answer in answers]
        finally:
            await connection.close()

    with embedded_server(tmp_path) as server:
        assert asyncio.run(install(server.kubeconfig)) == [one.name for one in presets()]
