"""Programs that the cluster tests run: of KUBEBUILDER_ASSETS, else built once from the pinned modules in `modules/`.

A folder there is a main module with one tool's dependencies; what was built is kept in the user's cache. `python -m
tests.cluster.binaries` builds what the tests run on, and says how long each takes.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "modules"
BUILD_SECONDS_MAX = 3600
MINORS = ("1.37", "1.36")
"""Of Kubernetes, newest first."""
CHOSEN = MINORS if os.environ.get("CLUSTER_MINORS") == "all" else MINORS[:1]
"""Those that the tests run on: a minor more takes its build and its stories' time."""


@dataclass(frozen=True)
class Tool:
    """What is built from one folder.

    Attributes:
        folder: of its go.mod.
        module: the one whose version counts.
        programs: by the name Go gives a binary, the name it is kept by.
        files: of the module's source, kept beside the binaries.
        version_variable: where the program keeps its version.
    """

    folder: str
    module: str
    programs: tuple[tuple[str, str], ...]
    files: tuple[str, ...] = ()
    cgo: bool = False
    tags: str = ""
    version_variable: str = ""


def _kubernetes(minor: str) -> Tool:
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    variable = "k8s.io/component-base/version.gitVersion"
    return Tool(f"kubernetes-{minor}", "k8s.io/kubernetes", tuple((n, n) for n in names), version_variable=variable)


KUBERNETES = {minor: _kubernetes(minor) for minor in MINORS}
ETCD = Tool("etcd", "go.etcd.io/etcd/server/v3", (("server", "etcd"),))
CONTOUR = Tool(
    "contour", "github.com/projectcontour/contour", (("contour", "contour"),),
    files=("examples/gateway/00-crds.yaml", "examples/contour/01-crds.yaml"),
)  # fmt: skip
GITEA = Tool(
    "gitea", "code.gitea.io/gitea", (("gitea", "gitea"),), files=("templates", "options"), cgo=True,
    tags="sqlite sqlite_unlock_notify",
)  # fmt: skip


def folder_of(tool: Tool) -> Path:
    """Where a tool's programs are; built at the first time. Without Go the test is skipped, and CI fails."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and all((Path(assets) / name).exists() for _, name in tool.programs):
        return Path(assets)
    if shutil.which("go") is None:
        pytest.skip(f"no Go to build {tool.folder} with, and KUBEBUILDER_ASSETS names no folder that has it")
    kept = _cache() / f"{tool.folder}-{_digest(tool)}"
    with _alone(kept):
        if not kept.exists():
            _build(tool, kept)
    return kept


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "coalmine" / "test-binaries"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _digest(tool: Tool) -> str:
    pinned = [(SOURCES / tool.folder / name).read_bytes() for name in ("go.mod", "go.sum")]
    return hashlib.sha256(b"\0".join([*pinned, repr(tool).encode()])).hexdigest()[:12]


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Two runs of the tests build nothing twice."""
    with kept.with_name(f"{kept.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(tool: Tool, kept: Path) -> None:
    began = time.monotonic()
    _tell(f"building {tool.folder}, once; this takes minutes ...")
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=f"{tool.folder}-") as made:
        folder = Path(made)
        _go(tool, "build", "-trimpath", "-ldflags", _flags(tool), "-tags", tool.tags, "-o", f"{made}/", "tool")
        for built, name in tool.programs:
            (folder / built).rename(folder / name)
        source = Path(json.loads(_go(tool, "list", "-m", "-json", tool.module))["Dir"])
        for name in tool.files:
            _keep(source / name, folder / name)
        folder.rename(kept)
        folder.mkdir()  # For its context to remove.
    _tell(f"built {tool.folder} in {time.monotonic() - began:.0f} s")


def _keep(source: Path, target: Path) -> None:
    """Copy a file or a folder out of the module cache, whose files are read-only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def _flags(tool: Tool) -> str:
    version = re.search(rf"{re.escape(tool.module)} (v\S+)", (SOURCES / tool.folder / "go.mod").read_text())
    assert version is not None, f"{tool.folder}/go.mod does not require {tool.module}"
    return "-s -w" + (f" -X {tool.version_variable}={version[1]}" if tool.version_variable else "")


def _go(tool: Tool, *arguments: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "1" if tool.cgo else "0", "GOFLAGS": "-mod=readonly"}
    done = subprocess.run(
        ["go", *arguments], cwd=SOURCES / tool.folder, env=environment, check=False, capture_output=True, text=True,
        timeout=BUILD_SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, f"go {arguments[0]} in {tool.folder}: {done.stderr[-3000:]}"
    return done.stdout


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    for each in (*(KUBERNETES[minor] for minor in CHOSEN), ETCD, CONTOUR, GITEA):
        _tell(str(folder_of(each)))
