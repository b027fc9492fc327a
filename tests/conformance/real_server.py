"""A real kube-apiserver with its etcd on loopback, from the folder that KUBEBUILDER_ASSETS names."""

import ctypes
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.api_process import Running

READY_SECONDS = 120.0
PR_SET_PDEATHSIG = 1


def assets() -> Path | None:
    """Where the binaries are; None when there are none."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    found = folder and all((Path(folder) / name).exists() for name in ("etcd", "kube-apiserver"))
    return Path(folder) if folder and found else None


@contextmanager
def real_server(binaries: Path, folder: Path) -> Iterator[Running]:
    """Start both, wait until the server is ready, and stop them in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    token, port = secrets.token_urlsafe(32), _free_port()
    url = f"https://127.0.0.1:{port}"
    with ExitStack() as stack:
        etcd = _start_etcd(binaries, folder, stack)
        process = _start_api_server(binaries, folder, stack, etcd=etcd, port=port, token=token)
        ca = _wait_ready(folder, url, token, process)
        kubeconfig = folder / "kubeconfig"
        _write_kubeconfig(kubeconfig, url, folder / "certs" / "apiserver.crt", token)
        yield Running(url, token, ca, kubeconfig, folder, process.pid)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _die_with_parent() -> None:
    # SIGKILL, since an API server that lost its etcd drains for ever.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _spawn(stack: ExitStack, log: Path, *command: str) -> "subprocess.Popen[bytes]":
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  no threads run while fixtures are set up
    )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _start_etcd(binaries: Path, folder: Path, stack: ExitStack) -> str:
    client, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    _spawn(
        stack, folder / "etcd.log", str(binaries / "etcd"), "--data-dir", str(folder / "etcd"),
        "--unsafe-no-fsync", "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
        "--initial-cluster", f"default={peer}", "--log-level", "warn",
    )  # fmt: skip
    return client


def _start_api_server(
    binaries: Path, folder: Path, stack: ExitStack, *, etcd: str, port: int, token: str
) -> "subprocess.Popen[bytes]":
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key_path, tokens = folder / "sa.key", folder / "tokens.csv"
    key_path.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ))  # fmt: skip
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    return _spawn(
        stack, folder / "kube-apiserver.log", str(binaries / "kube-apiserver"), "--etcd-servers", etcd,
        "--bind-address", "127.0.0.1", "--secure-port", str(port), "--advertise-address", "127.0.0.1",
        "--endpoint-reconciler-type", "none", "--cert-dir", str(folder / "certs"),
        "--token-auth-file", str(tokens), "--authorization-mode", "RBAC", "--anonymous-auth=true",
        "--service-account-key-file", str(key_path), "--service-account-signing-key-file", str(key_path),
        "--service-account-issuer", "https://kubernetes.default.svc",
        # There is no controller manager here, so nobody makes service accounts.
        "--disable-admission-plugins", "ServiceAccount,DefaultStorageClass",
        "--service-cluster-ip-range", "10.0.0.0/16", "--profiling=false",
    )  # fmt: skip


def _wait_ready(folder: Path, url: str, token: str, process: "subprocess.Popen[bytes]") -> str:
    certificate, end = folder / "certs" / "apiserver.crt", time.monotonic() + READY_SECONDS
    paths = ["/readyz", "/api/v1/namespaces/default"]
    while paths:
        assert process.poll() is None, (folder / "kube-apiserver.log").read_text()[-3000:]
        assert time.monotonic() < end, f"{paths[0]} is not there"
        try:
            request = Request(url + paths[0], headers={"Authorization": f"Bearer {token}"})  # noqa: S310  https only
            context = ssl.create_default_context(cadata=certificate.read_text())
            with urlopen(request, timeout=5, context=context):  # noqa: S310  https only
                paths.pop(0)
        except (URLError, OSError):
            time.sleep(0.1)
    return certificate.read_text()


def _write_kubeconfig(path: Path, url: str, certificate: Path, token: str) -> None:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "real",
        "clusters": [{"name": "real", "cluster": {"server": url, "certificate-authority": str(certificate)}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin", "namespace": "default"}}],
    }  # fmt: skip
    path.write_text(json.dumps(config))
    path.chmod(0o600)
