"""Where the operator is measured: an API server, a Git host and a pretended world, each a process of its own.

The operator is started as anybody would start it, and stopped and started again as a benchmark wants.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rollout.errors import Conflict
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import NAMESPACES, ROLLOUTS, Resource
from rollout.sandbox.box import Sandbox
from rollout.sandbox.informer import Informer
from rollout.sandbox.parts import Part
from tests.benchmarks.operator import audit
from tests.benchmarks.operator.objects import NAMESPACE
from tests.benchmarks.operator.process import Usage, usage

Json = dict[str, Any]
AT_ONCE = 16
WAIT_SECONDS_MAX = 1800.0
"""Generous: a benchmark tells how long something took, it does not fail by it."""
QUIET_CPU_SECONDS, QUIET_FOR_SECONDS = 0.1, 2.0


class Bed(Sandbox):
    """The embedded API server with what a benchmark needs; as an asynchronous context it runs."""

    server = "embedded"
    rollouts = ROLLOUTS
    """The kind that is released."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.connection = Connection(str(self.kubeconfig))
        self.client = KubeClient(self.connection)
        self._watching: list[asyncio.Task[None]] = []
        with contextlib.suppress(Conflict):
            await self.client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self.connection.close()
        await super().__aexit__(kind, error, trace)

    async def _starting(self) -> AsyncIterator[Part]:
        yield self._apiserver()
        self._write_kubeconfigs((self.folder / "apiserver" / "ca.crt").read_text())
        yield self._git()
        yield self._world("--replica-sets")

    def _world(self, *more: str) -> Part:
        probe = f"https://127.0.0.1:{self.plan.ports['apiserver']}/readyz"
        arguments = ("--kubeconfig", self._kubeconfig_of("node"), *more)
        return self._part("world", "tests.benchmarks.operator.world", *arguments, probe=probe)

    @property
    def audit_files(self) -> Iterable[Path]:
        """The API server's audit log, with what was rotated out of it."""
        return (self.folder / "apiserver").glob("audit.log*")

    # The operator

    async def start_operator(self, *more: str) -> None:
        """Start `coalmine run` with the Lease of its defaults, and wait until its caches are complete."""
        part = self._operator()
        part.command = [*part.command, *self._options(), *more]
        self.parts[part.name] = part
        await part.start()

    def _options(self) -> tuple[str, ...]:
        """The defaults of a cluster, where the sandbox has others."""
        return ("--lease-seconds", "15", "--log-format", "json")

    async def stop_operator(self) -> None:
        await self.parts["operator"].stop()

    def usage(self) -> Usage:
        """What the operator has used since it began."""
        process = self.parts["operator"].process
        assert process is not None, "start the operator first"
        assert process.returncode is None, f"the operator ended with {process.returncode}"
        return usage(process.pid)

    def calls(self, since: float, until: float = float("inf")) -> list[audit.Call]:
        """The operator's requests in a span of time."""
        return list(audit.calls(self.audit_files, since, until))

    async def quiet(self) -> float:
        """Wait until the operator has nothing to do; returns the CPU seconds it had used by then."""
        seen, since = self.usage().cpu_seconds, time.monotonic()
        first = seen
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() - since < QUIET_FOR_SECONDS:
            await asyncio.sleep(0.2)
            now = self.usage().cpu_seconds
            if now - seen > QUIET_CPU_SECONDS * QUIET_FOR_SECONDS:
                seen, since = now, time.monotonic()
            assert time.monotonic() < deadline, f"the operator works since {WAIT_SECONDS_MAX} s ({first} s of CPU)"
        return seen

    # Objects

    async def watch(self, resource: Resource, changed: Callable[[Json], None] = lambda _: None) -> Informer:
        """A cache of a kind, complete and kept up to date."""
        informer = Informer(self.connection, self.client, resource, changed)
        self._watching.append(asyncio.ensure_future(informer.run()))
        await until(lambda: informer.cache.synced, f"{resource.plural} are listed")
        return informer

    async def create(self, resource: Resource, objects: Iterable[Json]) -> None:
        """Make objects, some at once."""
        await at_once(self.client.create(resource, obj) for obj in objects)


async def at_once(work: Iterable[Coroutine[Any, Any, Any]], most: int = AT_ONCE) -> None:
    """Do some things at once, and all in the end."""
    room = asyncio.Semaphore(most)

    async def one(thing: Awaitable[Any]) -> None:
        async with room:
            await thing

    async with asyncio.TaskGroup() as tasks:
        for thing in work:
            tasks.create_task(one(thing))


async def until(holds: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS_MAX, poll: float = 0.05) -> None:
    """Wait until something is true, and say now and then what is waited for."""
    began = told = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"waited {seconds:.0f} s until {what}")
        if time.monotonic() - told > 10:
            told = time.monotonic()
            tell(f"  {told - began:.0f} s: waiting until {what}")
        await asyncio.sleep(poll)


def tell(text: str) -> None:
    """Say on standard error how far we are."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
