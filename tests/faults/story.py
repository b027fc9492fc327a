"""The bad-release story: a bad version comes through Git, an analysis fails it, traffic returns, Git is reverted once.

A lane is a namespace where the story is told again and again, each time with a new bad version. Its operator reaches
the API server, the Git host and Prometheus through proxies.
"""

import asyncio
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from rollout.kube.resources import APPLICATIONS, HTTP_ROUTES
from rollout.sandbox.demo.person import Person
from tests.faults.cluster import Cluster
from tests.faults.observer import Observer, weight_of
from tests.faults.operators import Operator
from tests.faults.plan import GIT, KUBERNETES, PROMETHEUS, Plan
from tests.faults.proxy import FaultProxy
from tests.stories.stage import Stage, health_template, manifests

PATH = "apps/web"
ANALYSIS = "{templates: [{templateName: health}], comparison: {warmUp: 2s}}"
CLIENTS_PER_SECOND = 60
ANSWERS_AFTER = 120
"""How many answers of the good version tell that no request is under way to the bad one any more."""
FETCH_SECONDS = 0.5
"""Between two looks at Git: a fetch is three processes, which an operator beside it needs more."""
STORY_SECONDS_MAX = 300.0
"""Generous: it is there so that a story that hangs ends, not to measure the machine."""


@dataclass
class Lane:
    """A namespace with version 1 out, clients, and an operator behind proxies."""

    stage: Stage
    person: Person
    operator: Operator
    api: FaultProxy
    git: FaultProxy
    prometheus: FaultProxy
    tree: str = ""
    versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))

    @property
    def good(self) -> str:
        """The image that every story ends with."""
        return f"{self.stage.namespace}:1"

    def follow(self, plan: Plan) -> None:
        """Let all proxies do what a plan says."""
        for proxy in (self.api, self.git, self.prometheus):
            proxy.follow(plan)

    def faults(self) -> int:
        """How many faults there were since the plan began."""
        return sum(proxy.faults.total() for proxy in (self.api, self.git, self.prometheus))

    def declare(self, image: str) -> dict[str, str]:
        """What a release pushes."""
        return {f"{PATH}/all.yaml": manifests(self.stage, image, replicas=2, analysis=ANALYSIS)}

    async def push(self, subject: str, files: dict[str, str]) -> str:
        return await asyncio.to_thread(self.person.push, subject, files)

    async def head(self) -> str:
        """The commit that the host has, fetched."""
        await asyncio.to_thread(self.person.git, "fetch", "--quiet", "origin", "main")
        return await asyncio.to_thread(self.person.git, "rev-parse", "origin/main")

    async def tree_of(self, commit: str) -> str:
        return await asyncio.to_thread(self.person.git, "rev-parse", f"{commit}:{PATH}")

    async def reverts(self) -> list[str]:
        return await asyncio.to_thread(self.stage.reverts, self.person)


@asynccontextmanager
async def lane(cluster: Cluster, folder: Path, runner: asyncio.Runner) -> AsyncIterator[Lane]:
    """Version 1 is out and has clients; nothing goes wrong yet."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    stage = Stage(cluster.box, folder, runner)
    config = yaml.safe_load(cluster.operator_kubeconfig.read_text())["clusters"][0]["cluster"]
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(FaultProxy(config["server"], KUBERNETES, trusting(cluster)))
        git = await stack.enter_async_context(FaultProxy(cluster.box.git_url, GIT))
        prometheus = await stack.enter_async_context(FaultProxy(cluster.box.prometheus_url, PROMETHEUS))
        await stage.set_up()
        stack.push_async_callback(stage.tear_down)
        operator = Operator(folder / "operator", cluster.operator_kubeconfig, api.url, stage.namespace)
        stack.push_async_callback(operator.stop)
        person = await stage.repository(url=stage.repository_url(git.url))
        it = Lane(stage, person, operator, api, git, prometheus)
        stage.image(it.good)
        health = health_template(stage, address=prometheus.url)
        await it.push("Deploy 1", it.declare(it.good) | {f"{PATH}/health.yaml": health})
        it.tree = await it.tree_of(await it.head())
        await stage.application()
        await operator.start()
        await stage.until_healthy(it.good)
        await stage.clients(CLIENTS_PER_SECOND)
        yield it


def trusting(cluster: Cluster) -> ssl.SSLContext:
    """TLS to the API server as the operator would have it."""
    from rollout.kube.connection import login

    tls = login(str(cluster.operator_kubeconfig)).tls
    if not isinstance(tls, ssl.SSLContext):
        raise TypeError("the operator's kubeconfig trusts no certificate")
    return tls


async def bad_release(it: Lane) -> float:
    """Tell the story once, and look whether it ended as it must; returns its seconds."""
    try:
        return await _bad_release(it)
    except Exception as error:
        error.add_note(f"the operator's last words: {await asyncio.to_thread(it.operator.last_words)}")
        raise


async def _bad_release(it: Lane) -> float:
    stage, number = it.stage, next(it.versions)
    bad, version, began = f"{stage.namespace}:{number}", str(number), time.monotonic()
    stage.image(bad, error_rate=1.0)
    before = len(await it.reverts())
    async with Observer(stage.connection, stage.namespace) as seen:
        released = await it.push(f"Release {number}", it.declare(bad))

        async def verdict() -> bool:
            return seen.verdict() is not None

        async def back() -> bool:
            return weight_of(await stage.get(HTTP_ROUTES, "web")) == 0 and await stage.weight() == 0

        async def reverted() -> bool:
            await asyncio.sleep(FETCH_SECONDS)
            return len(await it.reverts()) > before

        await stage.until("an analysis fails the version", verdict, STORY_SECONDS_MAX)
        await stage.until("traffic returns", back, STORY_SECONDS_MAX)
        await stage.until_answered("1", ANSWERS_AFTER)
        answered = stage.answered_by(version)
        await stage.until("the revert is in Git", reverted, STORY_SECONDS_MAX)
        await until_settled(it)
        await stage.until_answered("1", 1)
        ours, weights = await it.reverts(), seen.weights_after_verdict()
        assert len(ours) == before + 1, f"{len(ours) - before} reverts instead of one"
        assert await asyncio.to_thread(it.person.git, "rev-parse", f"{ours[0]}^") == released
        assert await it.head() == ours[0]
        assert await it.tree_of(ours[0]) == it.tree
        assert seen.aborted(), "the Rollout never said that it was aborted"
        assert any(weight > 0 for _, weight in seen.weights()), "the bad version never had traffic"
        assert weights == sorted(weights, reverse=True), f"the weight rose after the verdict: {weights}"
        assert stage.answered_by(version) == answered, "the bad version was asked after its traffic had been taken away"
    return time.monotonic() - began


async def until_settled(it: Lane) -> None:
    """Everything is as before the release, and says so."""
    stage = it.stage

    async def settled() -> bool:
        status = (await stage.get(APPLICATIONS, "web")).get("status") or {}
        true = {c["type"] for c in status.get("conditions") or [] if c["status"] == "True"}
        if not {"Synced", "Reverted"} <= true or (await stage.status()).get("abort"):
            return False
        await asyncio.sleep(FETCH_SECONDS)
        return str(status.get("appliedRevision")).endswith(await it.head())

    await stage.until("the Application is in sync and reverted", settled, STORY_SECONDS_MAX)
    await stage.until_healthy(it.good)
    assert await stage.weight() == 0


def lanes_in(
    cluster: Cluster, folder: Path, runner: asyncio.Runner
) -> Callable[[int], AbstractAsyncContextManager[Lane]]:
    """How the n-th lane of a cluster is opened."""
    return lambda number: lane(cluster, folder / f"lane-{number}", runner)


async def with_faults(it: Lane, seed: int) -> str:
    """The story in the weather of a seed, with an operator that starts in it; returns what it was like."""
    await it.operator.stop()
    it.follow(Plan(seed))
    await it.operator.start()
    starts = it.operator.starts
    seconds = await bad_release(it)
    faults = it.faults()
    it.follow(Plan())
    assert it.operator.running, "the operator's process has ended"
    assert it.operator.starts == starts, "it was restarted"
    return f"{faults} faults, {seconds:.0f} s"
