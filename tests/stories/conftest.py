"""One sandbox for all stories; a namespace, a repository and clients of its own for each."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.sandbox.box import Sandbox
from tests.stories.stage import Stage


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="session")
def box(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    runner.run(sandbox.__aenter__())
    yield sandbox
    runner.run(sandbox.__aexit__(None, None, None))


@pytest.fixture
def stage(runner: asyncio.Runner, box: Sandbox, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The place of one story; torn down when it ends, told when it fails."""
    scene = Stage(box, tmp_path, runner)
    runner.run(scene.set_up())
    yield scene
    runner.run(scene.tear_down())
