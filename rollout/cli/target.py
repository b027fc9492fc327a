"""The cluster that a verb works on: connected, patient, and with errors that say what to do."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import msgspec

from rollout.cli.screen import harmless
from rollout.errors import ApiError, ApiUnavailable, CoalmineError, NotFound
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import Resource

Json = dict[str, Any]
T = TypeVar("T")
StructT = TypeVar("StructT", bound=msgspec.Struct)

QUIET_SECONDS = 2.0
REMINDER_SECONDS = 10.0


class Absent(CoalmineError):
    """The object that was named does not exist."""


@dataclass(frozen=True)
class Cluster:
    """A connected cluster and the namespace that is meant."""

    connection: Connection
    client: KubeClient
    namespace: str

    async def find(self, resource: Resource, name: str) -> Json:
        """The live object; raises Absent with the way to those that exist."""
        live = await patiently(self.client.get(resource, self.namespace, name), f"reading {resource.kind} {name}")
        if live is None:
            await self.refuse_absent(resource, name)
        return live

    async def patch(self, resource: Resource, name: str, patch: Json, *, subresource: str = "") -> Json:
        """Merge-patch an object of the namespace; raises Absent, and Conflict where the patch names a version."""
        what = f"writing {resource.kind} {name}"
        work = self.client.merge_patch(resource, self.namespace, name, patch, subresource=subresource)
        try:
            return await patiently(work, what)
        except NotFound:
            await self.refuse_absent(resource, name)

    async def refuse_absent(self, resource: Resource, name: str) -> NoReturn:
        """Raise Absent for an object that is not there, or whose kind is not."""
        if await self.client.discover(resource.api_version, resource.kind) is None:
            raise Absent(
                f"this cluster does not serve {resource.kind}s of {resource.group}; apply Coalmine's crds/ first"
            )
        way = "coalmine get rollouts" if resource.plural == "rollouts" else f"kubectl get {resource.plural}"
        raise Absent(
            f'{resource.kind} "{name}" not found in namespace {self.namespace}; list those there are with '
            f"`{way} -n {self.namespace}`"
        )


def typed(live: Json, struct: type[StructT]) -> StructT:
    """The object as a struct; raises CoalmineError where it is older than the CRD."""
    try:
        return msgspec.convert(live, struct)
    except msgspec.ValidationError as error:
        name = live["metadata"]["name"]
        raise CoalmineError(f"{struct.__name__} {name} does not fit the CRD: {error}; apply it again") from error


def in_cluster(arguments: argparse.Namespace, work: Callable[[Cluster], Awaitable[int]]) -> int:
    """Run a verb against the cluster that its flags name; returns its exit code."""
    return asyncio.run(_connected(arguments, work))


async def _connected(arguments: argparse.Namespace, work: Callable[[Cluster], Awaitable[int]]) -> int:
    connection = Connection(arguments.kubeconfig or os.environ.get("KUBECONFIG"), arguments.context)
    try:
        cluster = Cluster(connection, KubeClient(connection), arguments.namespace or connection.namespace)
        return await work(cluster)
    except (ApiUnavailable, ApiError) as error:
        raise CoalmineError(explained(error, connection.server)) from error
    finally:
        await connection.close()


def explained(error: CoalmineError, server: str) -> str:
    """What went wrong with the API server, and what to do.

    Args:
        error: as the client raised it.
        server: its base URL.
    """
    if isinstance(error, ApiUnavailable):
        return f"the API server {server} does not answer ({error}); check --kubeconfig and --context"
    if isinstance(error, NotFound):
        return f"the API server {server} does not know this ({error}); are Coalmine's crds/ applied?"
    if isinstance(error, ApiError) and error.status == 401:
        return f"the API server {server} does not know you ({error}); log in again, or use another --context"
    if isinstance(error, ApiError) and error.status == 403:
        return f"you may not do this: {error.message}; ask for that right, or use another --context"
    return str(error)


async def patiently(work: Awaitable[T], what: str) -> T:
    """The result of something that may take long; tells so after two seconds, and now and then.

    Args:
        work: what is waited for.
        what: it in words, such as `reading Rollout web`.
    """
    task = asyncio.ensure_future(work)
    try:
        wait_seconds, began = QUIET_SECONDS, asyncio.get_running_loop().time()
        while not (await asyncio.wait({task}, timeout=wait_seconds))[0]:
            tell(f"still {what} ({asyncio.get_running_loop().time() - began:.0f} s)")
            wait_seconds = REMINDER_SECONDS
        return task.result()
    finally:
        task.cancel()


def tell(words: str) -> None:
    """Progress for people; the answer itself goes to standard output."""
    print(harmless(words), file=sys.stderr, flush=True)


def show(lines: Iterable[str]) -> None:
    """Print an answer."""
    print(harmless("\n".join(lines)), flush=True)
