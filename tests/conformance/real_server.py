"""A real kube-apiserver with its etcd on loopback."""

import secrets
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from rollout.sandbox.apiserver import kubeconfig, write_kubeconfig
from rollout.sandbox.parts import free_port
from rollout.sandbox.processes import die_with_parent
from tests.cluster.binaries import ETCD, KUBERNETES, folder_of
from tests.cluster.control_plane import ControlPlane
from tests.support.api_process import Running

READY_SECONDS = 120.0


@contextmanager
def real_server(minor: str, folder: Path) -> Iterator[Running]:
    """Start both, wait until the server is ready, and stop them in the end."""
    programs, ports = (folder_of(KUBERNETES[minor]), folder_of(ETCD)), (free_port(), free_port(), free_port())
    plane, token = ControlPlane(*programs, folder, *ports), secrets.token_urlsafe(32)
    plane.prepare()
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    url = f"https://127.0.0.1:{plane.port}"
    with ExitStack() as stack:
        _spawn(stack, folder / "etcd.log", plane.etcd_command())
        # There is no controller manager here, so nobody makes service accounts.
        disabled = ("--disable-admission-plugins", "ServiceAccount,DefaultStorageClass")
        process = _spawn(stack, folder / "kube-apiserver.log", plane.apiserver_command(*disabled))
        ca = _wait_ready(plane, url, token, process)
        path = folder / "kubeconfig"
        write_kubeconfig(path, kubeconfig(url, ca, token, "admin"))
        yield Running(url, token, ca, path, folder, process.pid)


def _spawn(stack: ExitStack, log: Path, command: list[str]) -> "subprocess.Popen[bytes]":
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509  no threads run while fixtures are set up
    )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _wait_ready(plane: ControlPlane, url: str, token: str, process: "subprocess.Popen[bytes]") -> str:
    end = time.monotonic() + READY_SECONDS
    paths = ["/readyz", "/api/v1/namespaces/default"]
    while paths:
        assert process.poll() is None, (plane.folder / "kube-apiserver.log").read_text()[-3000:]
        assert time.monotonic() < end, f"{paths[0]} is not there"
        try:
            request = Request(url + paths[0], headers={"Authorization": f"Bearer {token}"})  # noqa: S310  https only
            context = ssl.create_default_context(cadata=plane.certificate.read_text())
            with urlopen(request, timeout=5, context=context):  # noqa: S310  https only
                paths.pop(0)
        except (URLError, OSError):
            time.sleep(0.1)
    return plane.certificate.read_text()
