"""The story of the demo: deploy, then three releases; each ends in an outcome that is checked, not assumed."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rollout.errors import CoalmineError, Conflict
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    APPLICATIONS,
    GIT_REPOSITORIES,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SECRETS,
)
from rollout.sandbox.box import Sandbox
from rollout.sandbox.demo import manifests
from rollout.sandbox.demo.manifests import NAMESPACE, PATH, REPOSITORY
from rollout.sandbox.demo.observer import Counts, Observer, Sample, read_since
from rollout.sandbox.demo.person import Person
from rollout.sandbox.git_cgi import GitBackend
from rollout.sandbox.node.behaviour import Behaviour
from rollout.sandbox.node.images import add_image
from rollout.sandbox.parts import Part

Json = dict[str, Any]

REQUESTS_PER_SECOND = 200
RECENT_COMMITS = 5
DEPLOY_SECONDS_MAX = 240
RELEASE_SECONDS_MAX = 240
IMAGES = {
    "shop:1.0": Behaviour("1.0", error_rate=0.02),
    "shop:1.1": Behaviour("1.1", error_rate=0.02),
    "shop:1.2": Behaviour("1.2", error_rate=0.30),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a release ended.

    Attributes:
        expected, seen: one word each: Promoted, Reverted, Refused.
        seconds: from the push to the end.
        clients: requests by version while the release was under way.
        failed: requests that nobody answered.
        detail: a sentence.
    """

    release: str
    expected: str
    seen: str
    seconds: float
    clients: dict[str, Counts]
    failed: int
    detail: str

    @property
    def as_told(self) -> bool:
        """Whether it ended as it had to."""
        return self.expected == self.seen


@dataclass
class Story:
    """Everything that happened, for the table and the report."""

    outcomes: list[Outcome] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    revert_diff: str = ""
    revert_message: str = ""
    revert_signed: bool = False


class DemoFailed(CoalmineError):
    """The demo did not come to where it had to."""


class Scenario:
    """Plays the story on a running sandbox.

    Args:
        box: the sandbox.
        tell: told of every turn of the story, in a sentence.
        show: shown every second.
    """

    def __init__(self, box: Sandbox, tell: Callable[[str], None], show: Callable[[Sample], None]) -> None:
        self.box, self._tell, self._show = box, tell, show
        self.story = Story()
        self._load = box.folder / "load" / "load.jsonl"

    async def play(self) -> Story:
        """Play everything; raises DemoFailed where a step does not come to its end."""
        self._connection = Connection(str(self.box.kubeconfig))
        self.client = KubeClient(self._connection)
        log = partial(GitBackend(self.box.repositories).log, REPOSITORY, "main", RECENT_COMMITS)
        self.observer = Observer(self.client, self._load, log)
        try:
            await self._deploy()
            async with self._clients(), self._watching():
                await self._releases()
                self.story.log = await asyncio.to_thread(self.person.log)
        finally:
            self.story.samples = self.observer.samples
            await self._connection.close()
        return self.story

    async def _releases(self) -> None:
        await self._release_good()
        await self._release_bad()
        await self._release_again()

    async def _deploy(self) -> None:
        self._tell("Version 1.0 is declared in Git, and deployed from there")
        for reference, behaviour in IMAGES.items():
            add_image(self.box.images, reference, behaviour)
        await asyncio.to_thread(_create_repository, self.box)
        url = f"{self.box.git_url}/{REPOSITORY}.git"
        password = self.box.plan.passwords["person"]
        self.person = await asyncio.to_thread(Person, self.box.folder / "person", url, "person", password)
        files = manifests.files(self._rollout("shop:1.0"), self._analysis())
        await asyncio.to_thread(self.person.push, "Deploy the shop at 1.0", files)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await self._create(NAMESPACES, namespace)
        for secret in manifests.secrets(self.box):
            await self._create(SECRETS, secret)
        await self._create(GIT_REPOSITORIES, manifests.repository(self.box))
        await self._create(APPLICATIONS, manifests.application())
        await self._until("the shop runs at 1.0", DEPLOY_SECONDS_MAX, self._healthy_at("shop:1.0"))

    async def _create(self, resource: Any, obj: Json) -> None:
        with contextlib.suppress(Conflict):  # A demo in a folder of an earlier one finds its objects.
            await self.client.create(resource, obj)

    @contextlib.asynccontextmanager
    async def _clients(self) -> AsyncIterator[None]:
        """Users of the shop, as long as the releases last."""
        folder = self._load.parent
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "rollout.sandbox.load", "--url", self.box.gateway_url]
        command += ["--host", manifests.HOST, "--rate", str(REQUESTS_PER_SECOND), "--data-dir", str(folder)]
        log = self.box.folder / "logs" / "load.log"
        load = Part("load", command, self._counting, log)
        await load.start()
        try:
            yield
        finally:
            await load.stop()

    async def _counting(self) -> bool:
        return self._load.exists() and self._load.stat().st_size > 0

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        async def every_second() -> None:
            while True:
                with contextlib.suppress(CoalmineError):
                    self._show(await self.observer.look(time.time()))
                await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(every_second())
            yield
            watching.cancel()

    async def _release_good(self) -> None:
        pushed_at = await self._push(
            "Release 1.1: a faster basket", {f"{PATH}/rollout.yaml": self._rollout("shop:1.1")}
        )
        await self._until("1.1 is promoted", RELEASE_SECONDS_MAX, self._healthy_at("shop:1.1"))
        rollout = await self._rollout_object()
        promoted = rollout["status"].get("stableRS") == rollout["status"].get("currentPodHash")
        await self._settled("shop:1.1")
        self._ended(
            "1.1 (good)",
            "Promoted",
            "Promoted" if promoted else "?",
            pushed_at,
            "proven harmless at 50 %, then promoted",
        )

    async def _release_bad(self) -> None:
        before = await asyncio.to_thread(self.person.git, "rev-parse", f"HEAD:{PATH}")
        pushed_at = await self._push("Release 1.2: a new checkout", {f"{PATH}/rollout.yaml": self._rollout("shop:1.2")})
        await self._until("1.2 is noticed", RELEASE_SECONDS_MAX, self._aborted)
        message = (await self._rollout_object())["status"]["message"]
        self._tell(message)
        await self._until("the change is taken back in Git", RELEASE_SECONDS_MAX, self._reverted)
        await self._until("the shop runs at 1.1 again", RELEASE_SECONDS_MAX, self._healthy_at("shop:1.1"))
        await self._settled("shop:1.1")
        seen = await asyncio.to_thread(self._read_revert, before)
        self._ended("1.2 (30 % errors)", "Reverted", seen, pushed_at, message.partition(": ")[2])

    async def _release_again(self) -> None:
        pods = await self._pod_names()
        text = self._rollout("shop:1.2").replace("timeout: 3m", "timeout: 4m")
        pushed_at = await self._push("Release 1.2 again, with a longer timeout", {f"{PATH}/rollout.yaml": text})
        await self._until("the quarantine refuses it", RELEASE_SECONDS_MAX, self._quarantined)
        same = pods == await self._pod_names()
        application = await self.client.get(APPLICATIONS, NAMESPACE, "shop") or {}
        synced = next(c for c in application["status"]["conditions"] if c["type"] == "Synced")
        self._ended("1.2 (declared again)", "Refused", "Refused" if same else "?", pushed_at, synced["message"])

    def _rollout(self, image: str) -> str:
        return manifests.rollout(image, self.box.prometheus_url)

    def _analysis(self) -> str:
        return manifests.analysis()

    async def _push(self, subject: str, files: dict[str, str]) -> float:
        self._tell(f"Push: {subject}")
        await asyncio.to_thread(self.person.push, subject, files)
        self.story.marks.append((time.time(), subject))
        return time.time()

    def _ended(self, release: str, expected: str, seen: str, pushed_at: float, detail: str) -> None:
        clients, failed = read_since(self._load, pushed_at, time.time())
        seconds = time.time() - pushed_at
        outcome = Outcome(release, expected, seen, seconds, clients, failed, detail)
        self.story.outcomes.append(outcome)
        self._tell(f"{release}: {seen} after {seconds:.0f} s")

    async def _until(self, what: str, seconds: float, holds: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not await holds():  # noqa: ASYNC110  a spectator has no event to wait for
                    await asyncio.sleep(0.2)
        except TimeoutError:
            status = (await self._rollout_object()).get("status") or {}
            where = f"{status.get('phase')}: {status.get('message')}"
            raise DemoFailed(
                f"waited {seconds} s until {what}; the Rollout is {where}; logs: {self.box.folder}/logs"
            ) from None

    async def _rollout_object(self) -> Json:
        return await self.client.get(ROLLOUTS, NAMESPACE, "shop") or {}

    def _healthy_at(self, image: str) -> Callable[[], Any]:
        async def holds() -> bool:
            rollout = await self._rollout_object()
            if not rollout or rollout["spec"]["template"]["spec"]["containers"][0]["image"] != image:
                return False
            status = rollout.get("status") or {}
            current = status.get("observedGeneration") == rollout["metadata"]["generation"]
            return bool(current and status.get("phase") == "Healthy")

        return holds

    async def _settled(self, image: str) -> None:
        """Running pods and weights agree with Git: what an auditor would check."""

        async def holds() -> bool:
            sets = await self.client.list(REPLICA_SETS, NAMESPACE)
            wanted = [rs for rs in sets if rs["spec"]["template"]["spec"]["containers"][0]["image"] == image]
            available = sum(int((rs.get("status") or {}).get("availableReplicas", 0)) for rs in wanted)
            return available >= manifests.REPLICAS

        await self._until(f"all pods run {image}", RELEASE_SECONDS_MAX, holds)

    async def _aborted(self) -> bool:
        rollout = await self._rollout_object()
        return bool((rollout.get("status") or {}).get("abort"))

    async def _reverted(self) -> bool:
        text: str = await asyncio.to_thread(self.person.read, f"{PATH}/rollout.yaml")
        return "image: shop:1.1" in text

    async def _quarantined(self) -> bool:
        application = await self.client.get(APPLICATIONS, NAMESPACE, "shop") or {}
        conditions = (application.get("status") or {}).get("conditions") or []
        head = await asyncio.to_thread(self.person.git, "rev-parse", "HEAD")
        desired = (application.get("status") or {}).get("desiredRevision", "")
        held = any(c["type"] == "Synced" and c.get("reason") == "RevisionQuarantined" for c in conditions)
        return bool(held and head in desired)

    async def _pod_names(self) -> list[str]:
        pods = await self.client.list(PODS, NAMESPACE)
        return sorted(pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"])

    def _read_revert(self, good_tree: str) -> str:
        """Exactly one signed commit of ours, which restores the path's former tree."""
        person = self.person
        person.git("fetch", "--quiet", "origin", "main")
        ours = person.git("log", "--format=%H", "--author=Coalmine", "origin/main").split()
        tree = person.git("rev-parse", f"origin/main:{PATH}")
        if len(ours) != 1 or tree != good_tree:
            return f"{len(ours)} revert commits"
        self.story.revert_diff = person.git("show", "--format=", ours[0])
        self.story.revert_message = person.git("log", "-1", "--format=%B", ours[0])
        self.story.revert_signed = _signed_by(person, ours[0], self.box.signing_key.with_suffix(".pub"))
        return "Reverted" if self.story.revert_signed else "unsigned revert"


def _create_repository(box: Sandbox) -> None:
    GitBackend(box.repositories).create(REPOSITORY, "main")


def _signed_by(person: Person, commit: str, public_key: Path) -> bool:
    """Whether git itself verifies the signature against the sandbox's key."""
    signers = person.clone.parent / "allowed-signers"
    signers.write_text(f"coalmine@shop.example {public_key.read_text()}")
    try:
        person.git("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", commit)
    except subprocess.CalledProcessError:
        return False
    return True
