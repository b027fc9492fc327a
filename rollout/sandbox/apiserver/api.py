"""The embedded API server as a whole."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from rollout.sandbox.apiserver import tls
from rollout.sandbox.apiserver.audit import AuditLog
from rollout.sandbox.apiserver.auth import Tokens, User, own_tokens
from rollout.sandbox.apiserver.crds import Definitions, load_definitions
from rollout.sandbox.apiserver.gc import GarbageCollector
from rollout.sandbox.apiserver.kinds import builtin_registry
from rollout.sandbox.apiserver.namespaces import Namespaces
from rollout.sandbox.apiserver.persistence import Journal
from rollout.sandbox.apiserver.server import MAX_BODY_BYTES, LogHook, Service
from rollout.sandbox.apiserver.store import Store
from rollout.sandbox.apiserver.watch import WatchHub
from rollout.sandbox.apiserver.writer import Writer

STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Tuning:
    """What tests and sandboxes may want otherwise.

    Args:
        persist: keep objects in the data folder across restarts.
        window: changes of each resource kept for watches that start in the past.
        bookmark_seconds: between two bookmarks of a watch.
        log_hook: gives a pod's log: (namespace, name, query) -> text, None when there is none.
    """

    persist: bool = True
    window: int = 10_000
    bookmark_seconds: float = 30.0
    log_hook: LogHook | None = None


class ApiServer:
    """An API server in this process: `async with ApiServer(folder) as server: ... server.url`.

    Args:
        data_dir: certificates, tokens, state and audit log; made when missing.
        host: loopback address to listen on.
        port: 0 for a free one.
        tokens: token -> user; None for the folder's own token file, which has a user `admin`.
        crds: files or folders of CustomResourceDefinitions to serve from the start.
        tuning: the rest.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Mapping[str, User] | None = None,
        crds: Sequence[Path] = (),
        tuning: Tuning = Tuning(),
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._host, self._port, self._crds = host, port, crds
        self._tokens = Tokens(dict(own_tokens(data_dir / "tokens.csv") if tokens is None else tokens))
        self._authority = tls.authority(data_dir, host)
        self.store = Store(tuning.window)
        self._hub = WatchHub(self.store)
        self._journal = Journal(data_dir, self.store) if tuning.persist else None
        self.writer = Writer(self.store, builtin_registry())
        self._collector = GarbageCollector(self.writer)
        self._audit = AuditLog(data_dir)
        self._service = Service(
            self.writer, self._hub, self._tokens, self._audit,
            bookmark_seconds=tuning.bookmark_seconds, log_hook=tuning.log_hook,
        )  # fmt: skip
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """The address once the server runs."""
        return f"https://{self._host}:{self._port}"

    @property
    def ca_pem(self) -> str:
        """The certificate that clients trust."""
        return self._authority.ca_pem()

    def token(self, user: str = "admin") -> str:
        """A user's token; KeyError when the user has none."""
        return self._tokens.token_of(user)

    def kubeconfig(self, user: str = "admin", namespace: str = "default") -> dict[str, Any]:
        """A kubeconfig with the user's token in it: write it to files of mode 0600 only."""
        return kubeconfig(self.url, self.ca_pem, self.token(user), user, namespace)

    def drop_watches(self) -> None:
        """End all watches, as a restarting server does; clients come back."""
        self._hub.close_all()

    def compact(self) -> None:
        """Forget the history: watches that start in the past get 410."""
        self.store.forget_history()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        self._stack.callback(self._audit.close)
        if self._journal:
            self._journal.open()
            self._stack.callback(self._journal.close)
        # Definitions and namespaces write while they hear of a change, so they hear of it last.
        definitions, namespaces = Definitions(self.writer), Namespaces(self.writer)
        definitions.restore()
        namespaces.bootstrap()
        load_definitions(self.writer, list(self._crds))
        self._collector.settle_all()
        task = asyncio.get_running_loop().create_task(self._collector.run())
        self._stack.push_async_callback(_ended, task)
        await self._listen()

    async def _listen(self) -> None:
        runner = web.ServerRunner(
            web.Server(self._service.handle, request_factory=_request, access_log=None),
            shutdown_timeout=STOP_SECONDS,
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        self._stack.callback(self._hub.close_all)
        site = web.TCPSite(runner, self._host, self._port, ssl_context=self._authority.server_context())
        await site.start()
        self._port = runner.addresses[0][1]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)


def kubeconfig(url: str, ca_pem: str, token: str, user: str, namespace: str = "default") -> dict[str, Any]:
    """A kubeconfig with one context named `sandbox`."""
    ca = base64.b64encode(ca_pem.encode()).decode()
    context = {"cluster": "sandbox", "user": user, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sandbox",
        "clusters": [{"name": "sandbox", "cluster": {"server": url, "certificate-authority-data": ca}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "sandbox", "context": context}],
    }


def write_kubeconfig(path: Path, config: Mapping[str, Any]) -> None:
    """Write a kubeconfig that only its owner can read (JSON is YAML too)."""
    tls.write_private(path, json.dumps(config, indent=2).encode())
