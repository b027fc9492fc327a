"""Every preset against what its component really prints: two scrapes of canary and stable, by the real client."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from analysis.presets.load import preset, presets
from analysis.providers.prometheus import PrometheusProvider
from rollout.sandbox.prometheus.api import make_app
from rollout.sandbox.prometheus.store import Store
from tests.support.preset_cases import CASES, TEXTS, Case, Labels, Scrapes, assert_as_expected, measured

FIRST, SECOND = 1_700_000_000.0, 1_700_000_030.0


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
    for moment, number in ((FIRST, 0), (SECOND, 1)):
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


def test_every_preset_is_tried() -> None:
    assert {case.preset for case in CASES} == {preset.name for preset in presets()}
