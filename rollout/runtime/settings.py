"""Settings of the operator: one frozen value, from flags and the environment."""

import os
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


def _identity() -> str:
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Settings:
    """How one replica runs.

    Ports: 0 takes a free one, which the log tells; addresses are of this machine.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; none: all of them."""
    identity: str = field(default_factory=_identity)
    lease_namespace: str = ""
    """Empty: the namespace of the pod, or of the kubeconfig's context."""
    lease_name: str = "coalmine"
    lease_duration_seconds: float = 15.0
    lease_renew_seconds: float = 10.0
    lease_retry_seconds: float = 2.0
    workers: int = 8
    sweep_seconds: float = 300.0
    bind: str = "127.0.0.1"
    health_port: int = 8080
    metrics_port: int = 8090
    webhook_port: int = 9293
    data_dir: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "coalmine")
    """Git mirrors; may be lost at any time."""
    ports_file: Path | None = None
    """Where the ports that were taken are written, as JSON."""
    log_format: str = "json"
    log_level: str = "INFO"
    metric_addresses: tuple[str, ...] = ()
    """Host patterns that namespaced templates may query; none: every address."""
