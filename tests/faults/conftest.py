"""One cluster for all faults, without an operator of its own: the stories start theirs behind proxies."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.sandbox.box import Sandbox
from tests.faults.cluster import Cluster, cluster_of
from tests.faults.lanes import Lanes, Outcome
from tests.faults.story import lanes_in, with_faults


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="session")
def cluster(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    place = cluster_of(Sandbox(tmp_path_factory.mktemp("sandbox")))
    yield runner.run(place.__aenter__())
    runner.run(place.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest, runner: asyncio.Runner, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Outcome]:
    """The story in the weather of every seed that was asked for, a few at a time."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = [int(str(item.callspec.params["seed"])) for item in items if "seed" in item.fixturenames]
    folder: Path = tmp_path_factory.mktemp("lanes")
    return runner.run(Lanes(lanes_in(cluster, folder, runner), with_faults).run(asked))
