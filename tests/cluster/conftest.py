"""One real cluster a minor of Kubernetes; a namespace, a repository and clients of its own for each story."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.binaries import CHOSEN, MINORS
from tests.cluster.box import Cluster
from tests.cluster.netns import PODS
from tests.stories.stage import Stage

HERE = Path(__file__).parent
LOGS_KEPT = Path(__file__).parents[2] / "build" / "cluster-logs"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A cluster at a time, and in each those tests last that look at what the others have left in its log."""

    def place(item: pytest.Item) -> tuple[int, bool]:
        chosen = getattr(item, "callspec", None)
        minor = chosen.params.get("box", MINORS[0]) if chosen else MINORS[0]
        return MINORS.index(minor), item.get_closest_marker("last") is not None

    ours = [index for index, item in enumerate(items) if HERE in item.path.parents]
    for index, item in zip(ours, sorted((items[index] for index in ours), key=place), strict=True):
        items[index] = item


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="session", params=CHOSEN)
def box(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Cluster]:
    routes = subprocess.run(["ip", "route", "show", "table", "local"], check=True, capture_output=True, text=True)
    assert PODS in routes.stdout, "start these tests with `make cluster-tests`: they want a network of their own"
    failed_before = request.session.testsfailed
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), request.param)
    try:
        runner.run(cluster.__aenter__())
        yield cluster
        runner.run(cluster.__aexit__(None, None, None))
    finally:
        if request.session.testsfailed > failed_before:
            shutil.copytree(cluster.folder / "logs", LOGS_KEPT / request.param, dirs_exist_ok=True)


@pytest.fixture
def stage(runner: asyncio.Runner, box: Cluster, tmp_path: Path) -> Iterator[Stage]:
    """The place of one story; torn down when it ends."""
    scene = Stage(box, tmp_path, runner)
    runner.run(scene.set_up())
    yield scene
    runner.run(scene.tear_down())
