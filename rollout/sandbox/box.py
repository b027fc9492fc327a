"""A whole sandbox in one folder: API server, node, gateway, Prometheus, Git host and the operator, each a process.

The operator is started as anybody would start it: `coalmine run` with a kubeconfig. Nothing of it knows the sandbox.
"""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from rollout.errors import CoalmineError
from rollout.sandbox.apiserver import kubeconfig, write_kubeconfig
from rollout.sandbox.git_cgi import GitBackend
from rollout.sandbox.node.images import add_demo_images
from rollout.sandbox.parts import Part, free_port, is_free

PORT_NAMES = ("apiserver", "gateway", "prometheus", "git", "health", "metrics", "webhook")
USERS = ("admin", "operator", "operator-2", "node", "gateway", "prometheus")
"""The second operator is for whoever starts another replica beside the sandbox' own."""
ACCOUNTS = ("person", "reader", "writer")
PROBE_SECONDS = 2.0


class SandboxBusy(CoalmineError):
    """A sandbox runs in this folder already."""


@dataclass
class Plan:
    """What a sandbox keeps in its folder, so that it comes back as it was."""

    ports: dict[str, int]
    tokens: dict[str, str] = field(repr=False, default_factory=dict)
    passwords: dict[str, str] = field(repr=False, default_factory=dict)
    hook_token: str = field(repr=False, default="")

    @classmethod
    def of(cls, folder: Path) -> "Plan":
        """The plan of a folder, made at the first time; ports that were taken meanwhile are chosen anew."""
        path = folder / "plan.json"
        if path.exists():
            plan = cls(**json.loads(path.read_text()))
        else:
            plan = cls(
                {name: free_port() for name in PORT_NAMES},
                {user: secrets.token_urlsafe(32) for user in USERS},
                {account: secrets.token_urlsafe(16) for account in ACCOUNTS},
                secrets.token_urlsafe(24),
            )
        plan.ports = {name: port if is_free(port) else plan._other_port() for name, port in plan.ports.items()}
        write_private(path, json.dumps(asdict(plan), indent=1))
        return plan

    def _other_port(self) -> int:
        """One that no part has."""
        return next(port for port in iter(free_port, None) if port not in self.ports.values())


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def crds() -> Path:
    """The folder of the CRDs: packaged, or the repository's."""
    packaged = Path(str(resources.files("rollout.api") / "crds"))
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "crds"


class Sandbox:
    """A sandbox in a folder; as an asynchronous context it runs, and leaves nothing behind.

    Args:
        folder: everything it keeps; made where it is missing.
        prometheus: a Prometheus to run in the place of the built-in one.
    """

    def __init__(self, folder: Path, prometheus: Path | None = None) -> None:
        self.folder, self._prometheus_binary = folder.absolute(), prometheus
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.images, self.repositories = self.folder / "images", self.folder / "git"
        self.kubeconfig = self.folder / "kubeconfig"
        self.parts: dict[str, Part] = {}

    @property
    def git_url(self) -> str:
        """Base URL of the Git host."""
        return f"http://127.0.0.1:{self.plan.ports['git']}"

    @property
    def prometheus_url(self) -> str:
        """Base URL of Prometheus' API."""
        return f"http://127.0.0.1:{self.plan.ports['prometheus']}"

    @property
    def gateway_url(self) -> str:
        """Base URL of the gateway."""
        return f"http://127.0.0.1:{self.plan.ports['gateway']}/"

    @property
    def gateway(self) -> dict[str, str]:
        """What a route names as its parent."""
        return {"name": "sandbox"}

    def repository_path(self, name: str) -> str:
        """Path of a repository at the Git host."""
        return f"/{name}.git"

    async def create_repository(self, name: str) -> str:
        """Make an empty repository, and return its URL."""
        await asyncio.to_thread(GitBackend(self.repositories).create, name, "main")
        return self.git_url + self.repository_path(name)

    @property
    def signing_key(self) -> Path:
        """The SSH key that signs reverts; its public half lies beside it."""
        return self.folder / "signing-key"

    async def __aenter__(self) -> Self:
        self._lock()
        self.plan = Plan.of(self.folder)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PROBE_SECONDS))
        try:
            self._write_files()
            async for part in self._starting():
                self.parts[part.name] = part
                await part.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def _starting(self) -> AsyncIterator[Part]:
        """What runs, in this order; a part is made once those before it serve."""
        yield self._apiserver()
        self._write_kubeconfigs((self.folder / "apiserver" / "ca.crt").read_text())
        for part in (self._git(), self._node(), self._gateway(), self._prometheus(), self._operator()):
            yield part

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        for part in reversed(self.parts.values()):
            await part.stop()
        await self._session.close()
        (self.folder / "pid").unlink(missing_ok=True)

    def _lock(self) -> None:
        """One sandbox a folder."""
        running = running_pid(self.folder)
        if running is not None and running != os.getpid():
            raise SandboxBusy(
                f"a sandbox runs in {self.folder} (process {running}); end it with `coalmine sandbox down`"
            )
        (self.folder / "pid").write_text(str(os.getpid()))

    def _write_files(self) -> None:
        lines = [f'{token},{user},{user},"system:masters"\n' for user, token in self.plan.tokens.items()]
        write_private(self.folder / "tokens.csv", "".join(lines))
        rights = {name: "ro" if name == "reader" else "rw" for name in self.plan.passwords}
        accounts = [f"{name}:{password}:{rights[name]}\n" for name, password in self.plan.passwords.items()]
        write_private(self.folder / "accounts", "".join(accounts))
        for folder in (self.images, self.repositories, self.folder / "logs"):
            folder.mkdir(exist_ok=True)
        add_demo_images(self.images)
        if not self.signing_key.exists():
            _make_key(self.signing_key)

    def _write_kubeconfigs(self, ca: str) -> None:
        url = f"https://127.0.0.1:{self.plan.ports['apiserver']}"
        for user, token in self.plan.tokens.items():
            path = self.kubeconfig if user == "admin" else self._kubeconfig_of(user)
            write_kubeconfig(path, kubeconfig(url, ca, token, user))

    def _kubeconfig_of(self, user: str) -> Path:
        return self.folder / f"kubeconfig-{user}"

    def _part(self, name: str, module: str, *arguments: object, probe: str) -> Part:
        log = self.folder / "logs" / f"{name}.log"
        command = [sys.executable, "-m", module, *map(str, arguments)]
        return Part(name, command, lambda: self._answers(probe), log, {"PYTHONUNBUFFERED": "1"})

    async def _answers(self, url: str, below: int = 500) -> bool:
        """Whether there is an answer, with a status below some number."""
        try:
            async with self._session.get(url, ssl=False) as response:
                return response.status < below
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _apiserver(self) -> Part:
        port, data = self.plan.ports["apiserver"], self.folder / "apiserver"
        arguments = ("--data-dir", data, "--port", port, "--crds", crds(), "--token-file", self.folder / "tokens.csv")
        probe = f"https://127.0.0.1:{port}/readyz"
        return self._part("apiserver", "rollout.sandbox.apiserver", *arguments, probe=probe)

    def _git(self) -> Part:
        port = self.plan.ports["git"]
        arguments = (self.repositories, "--port", port, "--accounts", self.folder / "accounts")
        return self._part("git", "rollout.sandbox.githost", *arguments, probe=f"{self.git_url}/none")

    @property
    def pods_prefix(self) -> str:
        """First three bytes of the pods' addresses: the API server's port is this sandbox' alone, so they are too."""
        high, low = divmod(self.plan.ports["apiserver"], 256)
        return f"127.{high}.{low}"

    def _node(self, *more: object) -> Part:
        arguments: tuple[object, ...] = ("--kubeconfig", self._kubeconfig_of("node"), "--images", self.images)
        arguments += ("--logs", self.folder / "logs" / "pods", "--prefix", self.pods_prefix)
        probe = f"https://127.0.0.1:{self.plan.ports['apiserver']}/readyz"
        return self._part("node", "rollout.sandbox.node", *arguments, *more, probe=probe)

    def _gateway(self) -> Part:
        port, data = self.plan.ports["gateway"], self.folder / "gateway"
        arguments = ("--kubeconfig", self._kubeconfig_of("gateway"), "--data-dir", data, "--port", port)
        ports_file = self.folder / "gateway-ports.json"
        return self._part(
            "gateway", "rollout.sandbox.gateway", *arguments, "--ports-file", ports_file,
            probe=f"http://127.0.0.1:{port}/",
        )  # fmt: skip

    def _prometheus(self) -> Part:
        port, data = self.plan.ports["prometheus"], self.folder / "prometheus"
        arguments: tuple[object, ...] = ("--kubeconfig", self._kubeconfig_of("prometheus"))
        arguments += ("--data-dir", data, "--port", port)
        arguments += ("--binary", self._prometheus_binary) if self._prometheus_binary else ()
        ports_file = self.folder / "prometheus-ports.json"
        return self._part(
            "prometheus", "rollout.sandbox.prometheus", *arguments, "--ports-file", ports_file, "--interval", "1s",
            probe=f"http://127.0.0.1:{port}/-/ready",
        )  # fmt: skip

    def _operator(self) -> Part:
        ports = self.plan.ports
        arguments: tuple[object, ...] = ("--kubeconfig", self._kubeconfig_of("operator"), "run")
        arguments += ("--lease-namespace", "kube-system", "--lease-seconds", "15", "--log-format", "text")
        for name in ("health", "metrics", "webhook"):
            arguments += (f"--{name}-port", ports[name])
        arguments += ("--data-dir", self.folder / "operator")
        probe = f"http://127.0.0.1:{ports['health']}/readyz"
        part = self._part("operator", "rollout.cli.main", *arguments, probe=probe)
        part.ready = lambda: self._answers(probe, below=300)
        return part

    def processes(self) -> dict[str, int]:
        """The process of each part."""
        return {name: part.process.pid for name, part in self.parts.items() if part.process is not None}


def running_pid(folder: Path) -> int | None:
    """The process of the sandbox that runs in a folder."""
    try:
        pid = int((folder / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"sandbox" in command or b"pytest" in command or b"coalmine" in command else None


def _make_key(path: Path) -> None:
    """An ed25519 key without a passphrase, by ssh-keygen."""
    if shutil.which("ssh-keygen") is None:
        raise CoalmineError("ssh-keygen is not on the PATH; install OpenSSH's client, it signs the reverts")
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "coalmine sandbox", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
