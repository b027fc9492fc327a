"""The kubelet of the sandbox: each pod's container is a real process with an address of its own in 127.0.0.0/8."""

import asyncio
import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from rollout.domain.clock import rfc3339
from rollout.errors import CoalmineError, NotFound
from rollout.kube.client import KubeClient
from rollout.kube.resources import CONFIG_MAPS, PODS
from rollout.sandbox import processes
from rollout.sandbox.node.images import find_image, image_id

Json = dict[str, Any]
log = logging.getLogger("coalmine.sandbox.kubelet")

NODE = "sandbox"
PODS_MAX = 250
BACKOFF_SECONDS_MAX = 10.0
PROBE_TIMEOUT_SECONDS = 1.0
PROBE_FAILURES = 3
"""Kubernetes' defaults of `timeoutSeconds` and `failureThreshold`."""
GRACE_SECONDS_MAX = 10.0


class Addresses:
    """Addresses of the pods of one sandbox: `127.<a>.<b>.1` to `.254`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._free = list(range(254, 0, -1))

    def take(self) -> str:
        """An address that no pod has; raises IndexError where all are taken."""
        return f"{self._prefix}.{self._free.pop()}"

    def give_back(self, address: str) -> None:
        """The oldest free address is used last, since gateways may still remember it."""
        self._free.insert(0, int(address.rpartition(".")[2]))


@dataclass
class Readiness:
    """Whether a container is ready: from its first answer on, until so many probes in a row had none."""

    failures_max: int
    ready: bool = False
    failures: int = 0

    def after(self, *, answered: bool) -> bool:
        """Whether it is ready after one more probe."""
        self.failures = 0 if answered else self.failures + 1
        self.ready = answered or (self.ready and self.failures < self.failures_max)
        return self.ready


@dataclass
class Container:
    """What the kubelet knows of a pod's container."""

    ready: bool = False
    restarts: int = 0
    image_id: str = ""
    started_at: float = 0.0
    waiting: str = "ContainerCreating"
    message: str = ""
    last_exit: Json | None = None

    def status(self, spec: Json) -> Json:
        """As `status.containerStatuses` has it."""
        if self.waiting:
            state: Json = {"waiting": {"reason": self.waiting, "message": self.message}}
        else:
            state = {"running": {"startedAt": rfc3339(self.started_at)}}
        status: Json = {
            "name": spec["name"],
            "image": spec["image"],
            "imageID": self.image_id,
            "ready": self.ready,
            "started": not self.waiting,
            "restartCount": self.restarts,
            "state": state,
        }
        return status | ({"lastState": {"terminated": self.last_exit}} if self.last_exit else {})


@dataclass
class PodWorker:
    """Runs one pod from its creation to its end."""

    client: KubeClient
    session: aiohttp.ClientSession
    images: Path
    logs: Path
    pod: Json
    address: str
    container: Container = field(default_factory=Container)
    process: asyncio.subprocess.Process | None = None
    deleted: asyncio.Event = field(default_factory=asyncio.Event)
    conditions: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By type: the status, and since when."""

    def __post_init__(self) -> None:
        self.spec: Json = self.pod["spec"]["containers"][0]
        self.namespace: str = self.pod["metadata"]["namespace"]
        self.name: str = self.pod["metadata"]["name"]
        self.began = time.time()
        ports = self.spec.get("ports") or [{"containerPort": 8080}]
        self.port = int(ports[0]["containerPort"])

    async def run(self) -> None:
        """Run the container until the pod is deleted, then see it off."""
        if self.deleted.is_set():
            await self._see_off()
            return
        running = asyncio.ensure_future(self._run_container())
        deletion = asyncio.ensure_future(self.deleted.wait())
        try:
            await asyncio.wait({running, deletion}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            deletion.cancel()
            await asyncio.gather(running, deletion, return_exceptions=True)
            await self._see_off()

    async def _run_container(self) -> None:
        backoff = 1.0
        while True:
            image = find_image(self.images, self.spec["image"])
            if image is None:
                await self._wait(
                    "ErrImagePull", f'image "{self.spec["image"]}" is not in the sandbox\'s folder', backoff
                )
            else:
                code = await self._live(image)
                await self._crashed(code, backoff)
            backoff = min(backoff * 2, BACKOFF_SECONDS_MAX)

    async def _live(self, image: Path) -> int:
        """One life of the process; returns its exit code."""
        try:
            env = await self._environment()
        except CoalmineError as error:
            await self._wait("CreateContainerConfigError", str(error), 1.0)
            return 0
        command = [sys.executable, "-m", "rollout.sandbox.demo_service", str(image)]
        self.process = await processes.start(command, env=env, log=self.logs / f"{self.namespace}_{self.name}.log")
        self.container.waiting, self.container.image_id = "", f"sandbox@{image_id(image)}"
        self.container.started_at = time.time()
        await self._report()
        probing = asyncio.ensure_future(self._probe())
        try:
            return await self.process.wait()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)

    async def _environment(self) -> dict[str, str]:
        env = {"POD_IP": self.address, "PORT": str(self.port), "HOSTNAME": self.name, "PYTHONDONTWRITEBYTECODE": "1"}
        for source in self.spec.get("envFrom") or []:
            if "configMapRef" in source:
                env |= await self._config_map(source["configMapRef"]["name"])
        for variable in self.spec.get("env") or []:
            reference = (variable.get("valueFrom") or {}).get("configMapKeyRef")
            if reference:
                env[variable["name"]] = (await self._config_map(reference["name"])).get(reference["key"], "")
            else:
                env[variable["name"]] = variable.get("value", "")
        return env

    async def _config_map(self, name: str) -> dict[str, str]:
        found = await self.client.get(CONFIG_MAPS, self.namespace, name)
        if found is None:
            raise CoalmineError(f'configmap "{name}" not found')
        return dict(found.get("data") or {})

    async def _crashed(self, code: int, backoff: float) -> None:
        self.container.restarts += 1
        self.container.last_exit = {"exitCode": code, "reason": "Error" if code else "Completed"}
        await self._wait("CrashLoopBackOff", f"the process ended with {code}", backoff)

    async def _wait(self, reason: str, message: str, seconds: float) -> None:
        self.container.waiting, self.container.message, self.container.ready = reason, message, False
        await self._report()
        await asyncio.sleep(seconds)

    async def _probe(self) -> None:
        """The readiness probe: HTTP where the pod has one, else ready once the port answers."""
        probe = self.spec.get("readinessProbe") or {}
        path = (probe.get("httpGet") or {}).get("path", "/ready")
        await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
        readiness = Readiness(int(probe.get("failureThreshold") or PROBE_FAILURES))
        timeout_seconds = float(probe.get("timeoutSeconds") or PROBE_TIMEOUT_SECONDS)
        while True:
            ready = readiness.after(answered=await self._answers(path, timeout_seconds))
            if ready != self.container.ready:
                self.container.ready = ready
                await self._report()
            await asyncio.sleep(float(probe.get("periodSeconds") or 10) if ready else 0.1)

    async def _answers(self, path: str, timeout_seconds: float) -> bool:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self.session.get(f"http://{self.address}:{self.port}{path}", timeout=timeout) as response:
                return response.status < 400
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _changed(self, kind: str, status: str) -> str:
        """Since when a condition has been what it is, as RFC 3339."""
        before = self.conditions.get(kind, ("", ""))
        if before[0] != status:
            self.conditions[kind] = before = (status, rfc3339(time.time()))
        return before[1]

    async def _report(self) -> None:
        ready = "True" if self.container.ready else "False"
        conditions = [
            {"type": kind, "status": status, "lastTransitionTime": self._changed(kind, status)}
            for kind, status in (
                ("PodScheduled", "True"),
                ("Initialized", "True"),
                ("ContainersReady", ready),
                ("Ready", ready),
            )
        ]
        status = {
            "phase": "Pending" if self.container.waiting and not self.container.restarts else "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": "127.0.0.1",
            "startTime": rfc3339(self.began),
            "conditions": conditions,
            "containerStatuses": [self.container.status(self.spec)],
        }
        await self._patch({"status": status})

    async def _patch(self, patch: Json) -> None:
        for _ in range(20):
            try:
                await self.client.merge_patch(PODS, self.namespace, self.name, patch, subresource="status")
            except NotFound:
                return
            except CoalmineError as error:
                log.debug("status of %s: %s", self.name, error)
                await asyncio.sleep(0.2)
            else:
                return

    async def _see_off(self) -> None:
        """Out of the endpoints first, then SIGTERM, then the object."""
        if self.container.ready and self.deleted.is_set():
            self.container.ready = False
            await self._report()
        if self.process is not None:
            asked = float(self.pod["spec"].get("terminationGracePeriodSeconds") or 30)
            await processes.stop(self.process, min(asked, GRACE_SECONDS_MAX) if self.deleted.is_set() else 0.1)
        if self.deleted.is_set():
            try:
                await self.client.delete_now(PODS, self.namespace, self.name)
            except CoalmineError as error:
                log.debug("removing %s: %s", self.name, error)


class Kubelet:
    """Starts and ends the workers of all pods of the node."""

    def __init__(self, client: KubeClient, addresses: Addresses, images: Path, logs: Path) -> None:
        self._client, self._addresses, self._images, self._logs = client, addresses, images, logs
        self._workers: dict[str, PodWorker] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._session: aiohttp.ClientSession | None = None
        self._waiting: list[Json] = []

    def changed(self, pod: Json) -> None:
        """A pod came, changed or went."""
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is not None:
            if "deletionTimestamp" in pod["metadata"]:
                worker.deleted.set()
        elif pod["spec"].get("nodeName") == NODE:
            self._begin(pod)

    def gone(self, pod: Json) -> None:
        """A pod was removed without asking us."""
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker.deleted.set()

    def _begin(self, pod: Json) -> None:
        if self._tasks is None or self._session is None:
            self._waiting.append(pod)
            return
        if len(self._workers) >= PODS_MAX:
            log.warning("no room for pod %s: a sandbox runs %d pods at most", pod["metadata"]["name"], PODS_MAX)
            return
        address = self._addresses.take()
        worker = PodWorker(self._client, self._session, self._images, self._logs, pod, address)
        if "deletionTimestamp" in pod["metadata"]:
            worker.deleted.set()  # Deleted while no node ran: nothing is left of it but the object.
        self._workers[pod["metadata"]["uid"]] = worker
        self._tasks.create_task(self._attend(pod["metadata"]["uid"], worker))

    async def _attend(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        finally:
            del self._workers[uid]
            self._addresses.give_back(worker.address)

    async def run(self) -> None:
        """Run until cancelled; every process ends with us."""
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            self._session, self._tasks = session, tasks
            for pod in self._waiting:
                self._begin(pod)
            await asyncio.Event().wait()
