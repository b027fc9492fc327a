"""The presets on Debian's Prometheus, which scrapes the same texts: its parser, its relabelling, its PromQL."""

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from analysis.presets.load import presets
from analysis.providers.prometheus import PrometheusProvider
from tests.support.exposed import exposed
from tests.support.preset_cases import CASES, TEXTS, Case, Labels, Scrapes, assert_as_expected, measured
from tests.support.real_prometheus import RealPrometheus, Target


def rounds() -> list[list[Case]]:
    """Return the cases so that no preset is in a round twice: its selectors would find the other case's series too."""
    cases = list(CASES)
    told: list[list[Case]] = []
    while cases:
        names: set[str] = set()
        told.append([case for case in cases if not (case.preset in names or names.add(case.preset))])
        cases = [case for case in cases if case not in told[-1]]
    return told


def prepare(folder: Path) -> None:
    """Write the presets' rules for metricRelabelings as Prometheus wants them; cAdvisor's own times are of long ago."""
    file = folder / "prometheus.yaml"
    configuration: dict[str, Any] = yaml.safe_load(file.read_text())
    rules = [rule for one in presets() for rule in yaml.safe_load(one.relabelings) or ()]
    snake = [{re.sub("([A-Z])", r"_\1", key).lower(): value for key, value in rule.items()} for rule in rules]
    for job in configuration["scrape_configs"]:
        job |= {"metric_relabel_configs": snake, "honor_timestamps": False}
    file.write_text(yaml.safe_dump(configuration))


class Texts:
    """What the targets expose: the first text, nothing, or the second."""

    def __init__(self) -> None:
        self.number: int | None = 0

    def of(self, name: str) -> str:
        """Return what a target exposes now; nothing that Prometheus can read between both texts."""
        return "{" if self.number is None else (TEXTS / f"{name}.{self.number}.txt").read_text()


async def scraped(cases: Sequence[Case], folder: Path) -> None:
    texts = Texts()
    prometheus = RealPrometheus(folder)
    prepare(folder)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(prometheus)
        wanted: dict[str, tuple[str, Labels]] = {
            f"{name} {sorted(labels.items())}": (name, labels) for case in cases for name, labels in case.scraped
        }
        targets = []
        for name, labels in wanted.values():
            address = await stack.enter_async_context(exposed(lambda name=name: texts.of(name)))  # type: ignore[misc]
            targets.append(Target(address, labels | {"target": name}))
        prometheus.watch(targets)
        await prometheus.until_up(len(targets))
        texts.number, changed = None, time.time()
        await prometheus.until(f"count(up == 0) >= {len(targets)}")
        texts.number = 1
        await prometheus.until_up(len(targets))
        scrapes = Scrapes(changed - 60, changed, time.time())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for case in cases:
            found = await measured(case, prometheus.url, PrometheusProvider(session), scrapes)
            assert_as_expected(case, found)


@pytest.mark.parametrize("cases", rounds(), ids=lambda cases: f"{len(cases)}-presets")
def test_presets_find_both_arms_on_a_real_prometheus(cases: list[Case], tmp_path: Path) -> None:
    asyncio.run(scraped(cases, tmp_path / "prometheus"))
