"""A Git host for the sandbox and the stories: real git over smart HTTP, with accounts, on loopback only.

async with GitHost(root, accounts=[Account("bot", "secret", write=True)]) as host:
repository = host.create("shop-config")      # a bare directory
url = host.url_of("shop-config")             # http://127.0.0.1:<port>/shop-config.git
"""

import argparse
import asyncio
import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from rollout.sandbox.git_cgi import BODY_BYTES_MAX, GitBackend
from rollout.sandbox.git_push_hook import PushNotifier, Subscription


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may read, and perhaps write; `token` is for `Authorization: Bearer`."""

    username: str
    password: str = field(repr=False)
    token: str = field(default="", repr=False)
    write: bool = False


class GitHost:
    """A smart HTTP server over a folder of bare repositories.

    Args:
        root: folder of the repositories.
        accounts: who may do what; without accounts everybody may read and write.
        port: 0 takes a free one.
        notify: signed notifications after each push.
    """

    def __init__(
        self,
        root: Path,
        accounts: Iterable[Account] = (),
        *,
        port: int = 0,
        notify: Iterable[Subscription] = (),
    ) -> None:
        self.root = root
        self._accounts = tuple(accounts)
        self._port = port
        self._backend = GitBackend(root)
        self._notifier = PushNotifier(tuple(notify))
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.+}", self._handle)
        # git http-backend unpacks what git has packed.
        self._runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def create(self, name: str, branch: str = "main") -> Path:
        """Create an empty bare repository where there is none; returns its folder."""
        return self._backend.create(name, branch)

    def url_of(self, name: str) -> str:
        """Address of a repository."""
        return f"{self.url}/{name}.git"

    def protect(self, name: str, words: str, except_for: str = "") -> None:
        """Refuse every push with these words, but for one user (a pre-receive hook, as hosts do it)."""
        self._backend.install_refusing_hook(name, words, except_for)

    def unprotect(self, name: str) -> None:
        """Accept pushes again."""
        self._backend.remove_hook(name)

    def subscribe(self, subscription: Subscription) -> None:
        """Notify one more address after each push."""
        self._notifier.add(subscription)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        account = self._authenticate(request.headers)
        if self._accounts and account is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'}, text="who are you?\n")
        writes = _is_write(request)
        if writes and account is not None and not account.write:
            return web.Response(status=403, text=f"{account.username} may only read\n")
        user = account.username if account else "anonymous"
        response = await self._backend.serve(request, user)
        if writes and request.method == "POST" and response.status == 200:
            await self._notifier.pushed(request.path.split("/")[1].removesuffix(".git"))
        return response

    def _authenticate(self, headers: Mapping[str, str]) -> Account | None:
        """The account of an Authorization header, or None."""
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return next((a for a in self._accounts if a.token and _same(a.token, value.strip())), None)
        if scheme.lower() != "basic":
            return None
        try:
            username, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        named = (account for account in self._accounts if account.username == username)
        return next((account for account in named if _same(account.password, password)), None)


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode())


def _is_write(request: web.Request) -> bool:
    """Whether the request is part of a push."""
    return request.path.endswith("/git-receive-pack") or request.query.get("service") == "git-receive-pack"


async def _serve_forever(root: Path, port: int, accounts: list[Account]) -> None:
    async with GitHost(root, accounts, port=port) as host:
        await asyncio.to_thread(print, host.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve a folder: `python -m rollout.sandbox.githost ROOT --accounts FILE`.

    A line of the accounts' file is `username:password:ro` or `username:password:rw`.
    """
    parser = argparse.ArgumentParser(description="Serve bare repositories over smart HTTP on loopback.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--accounts", type=Path)
    options = parser.parse_args()
    lines = options.accounts.read_text().split() if options.accounts else []
    fields = (line.split(":", 2) for line in lines)
    accounts = [Account(name, password, token=password, write=right == "rw") for name, password, right in fields]
    asyncio.run(_serve_forever(options.root, options.port, accounts))


if __name__ == "__main__":
    main()
