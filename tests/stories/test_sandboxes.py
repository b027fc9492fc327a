"""Sandboxes as people run them: two at once, ended in every way, and begun again in the same folder."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from rollout.render.kustomize import kubectl_path
from rollout.sandbox.demo.person import Person
from rollout.sandbox.git_cgi import GitBackend

BOUND_SECONDS = 700.0
TIMEOUT = f"--timeout={BOUND_SECONDS:.0f}s"
COALMINE = (sys.executable, "-m", "rollout.cli.main", "sandbox")
ROLLOUT = """\
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {name: web, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "demo:1", ports: [{name: http, containerPort: 8080}]}]}
  strategy: {canary: {steps: [{setWeight: 50}, {pause: {}}]}}
"""


def until(what: str, holds: Callable[[], Any]) -> Any:
    """Wait until something is true of other processes."""
    deadline = time.monotonic() + BOUND_SECONDS
    while not (seen := holds()):
        assert time.monotonic() < deadline, f"waited {BOUND_SECONDS} s until {what}"
        time.sleep(0.1)
    return seen


@dataclass
class Box:
    """A sandbox in a folder, by its command line."""

    folder: Path
    process: "subprocess.Popen[str] | None" = None
    seen: set[tuple[int, str]] = field(default_factory=set)

    def call(self, verb: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """Run a verb to its end."""
        command = [*COALMINE, verb, "--data", str(self.folder), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=BOUND_SECONDS)

    def begin(self) -> None:
        """`up --foreground`, in a process group of its own as a terminal gives it."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "terminal.log").open("a") as log:
            command = [*COALMINE, "up", "--foreground", "--data", str(self.folder)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, text=True)

    def until_ready(self) -> None:
        """Wait for what `up` writes last."""

        def ready() -> bool:
            assert self.process is None or self.process.poll() is None, (self.folder / "terminal.log").read_text()
            return (self.folder / "ready.json").exists()

        until(f"{self.folder.name} is ready", ready)

    @property
    def places(self) -> dict[str, str]:
        """Where its parts are."""
        found: dict[str, str] = json.loads((self.folder / "ready.json").read_text())["places"]
        return found

    @property
    def person(self) -> tuple[str, str]:
        """An account of its Git host."""
        return "person", json.loads((self.folder / "plan.json").read_text())["passwords"]["person"]

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl says of its cluster."""
        command = [kubectl_path(), "--kubeconfig", self.places["kubeconfig"], *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=BOUND_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def until_healthy(self) -> None:
        """Wait until the Rollout is Healthy."""
        self.kubectl("wait", "rollout/web", "--for=jsonpath={.status.phase}=Healthy", TIMEOUT)

    def sample_times(self) -> list[float]:
        """When the Rollout's pods were scraped, in epoch seconds; none while Prometheus does not answer."""
        form = urllib.parse.urlencode({"query": 'http_requests_total{namespace="default",code="200"}[1h]'})
        connection = HTTPConnection(urllib.parse.urlsplit(self.places["prometheus"]).netloc, timeout=10)
        series: list[Any] = []
        with closing(connection), suppress(OSError):
            connection.request("GET", f"/api/v1/query?{form}")
            series = json.load(connection.getresponse())["data"]["result"]
        return sorted(moment for one in series for moment, _ in one["values"])

    def remember_processes(self) -> int:
        """All processes that live below the sandbox' own; returns how many."""
        pid = int((self.folder / "pid").read_text())
        self.seen = {(each, _started(each)) for each in _family(pid)}
        return len(self.seen)

    def left(self) -> dict[int, str]:
        """Those of them that still live, and whatever else works in the folder, with their command lines."""
        remembered = [pid for pid, started in self.seen if _started(pid) == started]
        users = [pid for pid in _all_processes() if str(self.folder) in _command(pid) and pid != os.getpid()]
        return {pid: _command(pid) for pid in (*remembered, *users) if _started(pid)}

    def until_nothing_is_left(self) -> None:
        """Wait until every process of the sandbox is gone."""
        if self.process is not None:
            self.process.wait(BOUND_SECONDS)
        until(f"nothing is left of {self.folder}", lambda: not self.left())


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, parent, ...; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str:
    """When a process began, which tells it from a later one of the same number; empty where it is gone or dead."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def _family(pid: int) -> set[int]:
    """A process and all below it."""
    parents = {each: int(fields[1]) for each in _all_processes() if (fields := _stat(each))}
    family = {pid}
    while more := {each for each, parent in parents.items() if parent in family} - family:
        family |= more
    return family


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[tuple[Box, Box]]:
    """Two folders; whatever a failing test leaves in them is ended."""
    both = Box(tmp_path / "first"), Box(tmp_path / "second")
    yield both
    for box in both:
        box.call("down")
        for pid in box.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if box.process is not None:
            box.process.wait(BOUND_SECONDS)


def test_two_sandboxes_do_not_disturb_each_other_and_a_killed_one_leaves_nothing_behind(
    boxes: tuple[Box, Box],
) -> None:
    first, second = boxes
    for box in boxes:
        box.begin()
    for box in boxes:
        box.until_ready()
    assert set(first.places.values()).isdisjoint(second.places.values())
    for box in boxes:
        box.kubectl("apply", "--server-side", "-f", "-", stdin=ROLLOUT)
    for box in boxes:
        box.until_healthy()
    addresses = [box.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.podIP}") for box in boxes]
    assert len(set(addresses)) == 2
    again = first.call("up", "--foreground")
    assert again.returncode != 0
    assert "a sandbox runs in" in again.stderr
    assert "Traceback" not in again.stderr

    assert second.remember_processes() > 8, "seven parts, a pod and the sandbox itself"
    assert second.process is not None
    second.process.send_signal(signal.SIGKILL)
    second.until_nothing_is_left()
    assert "no sandbox runs" in second.call("status").stdout

    status = first.call("status")
    assert (status.returncode, "ENDED" in status.stdout) == (0, False)
    first.kubectl("patch", "rollout", "web", "--type=merge", "-p", '{"spec":{"replicas":2}}')
    first.kubectl("wait", "rollout/web", "--for=jsonpath={.status.availableReplicas}=2", TIMEOUT)
    first.remember_processes()
    assert first.process is not None
    os.killpg(first.process.pid, signal.SIGINT)  # As Ctrl-C does: to the whole group at once.
    first.until_nothing_is_left()
    assert first.process.returncode == 130
    assert "Traceback" not in (first.folder / "terminal.log").read_text()


def test_a_sandbox_that_comes_back_has_its_objects_its_metrics_and_its_git(
    boxes: tuple[Box, Box], tmp_path: Path
) -> None:
    box, _ = boxes
    up = box.call("up")
    assert up.returncode == 0, up.stderr
    assert "processes" in up.stdout
    assert "already" in box.call("up").stdout
    box.kubectl("apply", "--server-side", "-f", "-", stdin=ROLLOUT)
    box.until_healthy()
    uid = box.kubectl("get", "rollout", "web", "-o", "jsonpath={.metadata.uid}")
    GitBackend(box.folder / "git").create("shop", "main")
    person = Person(tmp_path / "person", f"{box.places['git']}/shop.git", *box.person)
    commit = person.push("Deploy", {"README.md": "shop\n"})
    scraped = until("a pod was scraped", box.sample_times)[0]
    box.remember_processes()

    down = box.call("down")
    assert (down.returncode, "data stay" in down.stdout) == (0, True)
    box.until_nothing_is_left()
    gone = box.call("status")
    assert (gone.returncode, "no sandbox runs" in gone.stdout) == (1, True)

    box.begin()
    began = time.time()
    box.until_ready()
    assert box.kubectl("get", "rollout", "web", "-o", "jsonpath={.metadata.uid}") == uid
    box.until_healthy()
    until("the pod runs again and is scraped", lambda: any(moment > began for moment in box.sample_times()))
    assert until("the samples are read", box.sample_times)[0] == scraped
    later = Person(tmp_path / "later", f"{box.places['git']}/shop.git", *box.person)
    assert later.git("rev-parse", "HEAD") == commit
