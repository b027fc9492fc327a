"""Gitea: a Git host with accounts, rights, protected branches and pull requests."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

Json = dict[str, Any]
ADMIN = "person"
CALL_SECONDS_MAX = 60
RIGHTS = {"reader": "read", "writer": "write"}
CONFIGURATION = """\
APP_NAME = cluster tests
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {folder}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {programs}
OFFLINE_MODE = true
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1000$50
MIN_PASSWORD_LENGTH = 6
[repository]
ROOT = {folder}/repositories
DEFAULT_BRANCH = main
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
LEVEL = warn
[cron]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[packages]
ENABLED = false
"""
"""Passwords are hashed cheaply: each request of git proves one, and none of them is worth anything."""


@dataclass
class Gitea:
    """One host in one folder.

    Attributes:
        programs: the folder of the program.
        folder: of its data.
        port: of 127.0.0.1.
        passwords: of the accounts person (the administrator), reader and writer.
    """

    programs: Path
    folder: Path
    port: int
    passwords: Mapping[str, str]

    @property
    def url(self) -> str:
        """Base URL; repositories are `/person/NAME.git`."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> list[str]:
        """The program with its configuration; `web` serves."""
        return [str(self.programs / "gitea"), "--config", str(self.folder / "app.ini"), *arguments]

    def prepare(self) -> None:
        """Make the database and the administrator."""
        if (self.folder / "gitea.db").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        text = CONFIGURATION.format(folder=self.folder, port=self.port, programs=self.programs)
        (self.folder / "app.ini").write_text(text)
        self._run("migrate")
        account = ["--username", ADMIN, "--password", self.passwords[ADMIN], "--email", f"{ADMIN}@shop.example"]
        self._run("admin", "user", "create", "--admin", "--must-change-password=false", *account)

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(self.command(*arguments), check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"gitea {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    async def create_accounts(self) -> None:
        """Make those beside the administrator, at the first time."""
        for name in RIGHTS:
            if (await self.call("GET", f"/users/{name}", none=True)) is None:
                account = {"username": name, "password": self.passwords[name], "email": f"{name}@shop.example"}
                await self.call("POST", "/admin/users", {**account, "must_change_password": False})

    async def create_repository(self, name: str) -> None:
        """Make an empty repository that `reader` may read and `writer` may write."""
        await self.call("POST", "/user/repos", {"name": name, "default_branch": "main", "private": True})
        for account, right in RIGHTS.items():
            await self.call("PUT", f"/repos/{ADMIN}/{name}/collaborators/{account}", {"permission": right})

    async def protect(self, name: str) -> None:
        """Let nobody but the administrator push to main: changes come by pull requests."""
        rule = {"rule_name": "main", "enable_push": True, "enable_push_whitelist": True}
        rule["push_whitelist_usernames"] = [ADMIN]
        await self.call("POST", f"/repos/{ADMIN}/{name}/branch_protections", rule)

    async def call(self, method: str, path: str, body: Json | None = None, *, none: bool = False) -> Any:
        """Call the API as the administrator; `none`: what is not there is None."""
        account = {"Authorization": aiohttp.encode_basic_auth(ADMIN, self.passwords[ADMIN])}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)
        async with (
            aiohttp.ClientSession(headers=account, timeout=timeout) as session,
            session.request(method, f"{self.url}/api/v1{path}", json=body) as answer,
        ):
            if none and answer.status == 404:
                return None
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text[:500]}"
            return await answer.json() if text else None
