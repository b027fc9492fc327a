"""Repositories of the benchmarks: pushed to by a person, announced by webhooks as a Git host does it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from rollout.git.webhook import sign
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, SECRETS
from rollout.sandbox.demo.manifests import secret
from tests.benchmarks.operator.bed import Bed
from tests.benchmarks.operator.objects import NAMESPACE, named
from tests.support.git_work import Work

Json = dict[str, Any]
TOKEN = "a token of this benchmark"
BODY = b'{"ref": "refs/heads/main"}'


@dataclass
class Repository:
    """One repository of the host, with a person's clone."""

    name: str
    bare: Path
    work: Work

    def head(self) -> tuple[str, float]:
        """The commit of the branch on the host, and when it was put there (epoch seconds)."""
        ref = self.bare / "refs" / "heads" / "main"
        return ref.read_text().strip(), ref.stat().st_mtime_ns / 1e9


async def credentials(bed: Bed) -> None:
    """Secrets of readers, of writers, of signatures and of webhooks."""
    passwords = bed.plan.passwords
    for name, values in (
        ("git-read", {"username": "reader", "password": passwords["reader"]}),
        ("git-write", {"username": "writer", "password": passwords["writer"]}),
        ("git-signing", {"identity": bed.signing_key.read_text()}),
        ("hook", {"token": TOKEN}),
    ):
        metadata = {"name": name, "namespace": NAMESPACE}
        await bed.client.create(SECRETS, {**secret(name, values), "metadata": metadata})


async def repository(bed: Bed, name: str) -> Repository:
    """Make a repository on the host, and a clone."""
    await bed.create_repository(name)
    bare = bed.repositories / f"{name}.git"
    return Repository(name, bare, await asyncio.to_thread(Work, bare, bed.folder / "clones" / name))


async def declare(bed: Bed, name: str) -> None:
    """A GitRepository that is asked for news once an hour, and may be written."""
    spec = {
        "url": f"{bed.git_url}/{name}.git", "ref": {"branch": "main"}, "interval": "1h",
        "secretRef": {"name": "git-read"}, "webhook": {"secretRef": {"name": "hook"}},
        "write": {
            "secretRef": {"name": "git-write"}, "author": {"name": "Coalmine", "email": "coalmine@example.com"},
            "signing": {"secretRef": {"name": "git-signing"}},
        },
    }  # fmt: skip
    await bed.client.create(GIT_REPOSITORIES, named(GIT_REPOSITORIES, name, spec))


def application(name: str, repository_name: str, path: str) -> Json:
    """An Application that prunes and heals."""
    source = {"repositoryRef": {"name": repository_name}, "path": path}
    return named(APPLICATIONS, name, {"source": source, "sync": {"selfHeal": True, "prune": True}})


async def announce(bed: Bed, session: aiohttp.ClientSession, path: str) -> None:
    """Send the notification of a push."""
    url = f"http://127.0.0.1:{bed.plan.ports['webhook']}{path}"
    headers = {"X-Signature": sign(BODY, TOKEN), "Content-Type": "application/json"}
    async with session.post(url, data=BODY, headers=headers) as answer:
        assert answer.status == 202, f"the operator answers {answer.status} to a notification"
