"""Contour and its Envoy: a Gateway API implementation as people run it."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rollout.sandbox.gateway.envoy import find_envoy

Json = dict[str, Any]
NAMESPACE = "gateway"
GATEWAY = "edge"
LISTENER_PORT = 80
ENVOY_PORT = 8080
"""Contour adds 8000 to privileged ports of listeners."""
STATS_PORT = 8002
"""Of Envoy, once Contour has told it what to do: without a route nothing listens on its other port."""


@dataclass(frozen=True)
class Contour:
    """Command lines and objects.

    Attributes:
        programs: the folder of the program and of its CRDs.
        folder: of what it reads.
        xds_port, health_port, metrics_port: where it listens, on 127.0.0.1.
    """

    programs: Path
    folder: Path
    xds_port: int
    health_port: int
    metrics_port: int

    def definitions(self) -> Iterator[Json]:
        """CRDs of the Gateway API and of Contour."""
        for name in ("examples/gateway/00-crds.yaml", "examples/contour/01-crds.yaml"):
            yield from (one for one in yaml.safe_load_all((self.programs / name).read_text()) if one)

    def objects(self) -> Iterator[Json]:
        """The class, and a Gateway that takes routes of all namespaces."""
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        yield {
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "contour"},
            "spec": {"controllerName": "projectcontour.io/gateway-controller"},
        }  # fmt: skip
        everywhere = {"namespaces": {"from": "All"}}
        listener = {"name": "http", "protocol": "HTTP", "port": LISTENER_PORT, "allowedRoutes": everywhere}
        yield {
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": GATEWAY, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": "contour", "listeners": [listener]},
        }  # fmt: skip

    def prepare(self) -> None:
        """Write both configurations."""
        self.folder.mkdir(parents=True, exist_ok=True)
        reference = {"gateway": {"gatewayRef": {"namespace": NAMESPACE, "name": GATEWAY}}}
        (self.folder / "contour.yaml").write_text(json.dumps(reference))
        command = [str(self.programs / "contour"), "bootstrap", str(self.folder / "envoy.json")]
        command += ["--xds-address=127.0.0.1", f"--xds-port={self.xds_port}"]
        command += [f"--admin-address={self.folder / 'envoy-admin.sock'}"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def contour_command(self, kubeconfig: Path) -> list[str]:
        """The control plane of the gateway."""
        return [
            str(self.programs / "contour"), "serve", "--insecure", f"--kubeconfig={kubeconfig}",
            "--xds-address=127.0.0.1", f"--xds-port={self.xds_port}", "--disable-leader-election",
            # Pods have the same port at other addresses.
            "--envoy-service-http-address=127.0.0.1",
            "--stats-address=127.0.0.1",
            f"--stats-port={STATS_PORT}",
            "--http-address=127.0.0.1", f"--http-port={self.metrics_port}",
            "--health-address=127.0.0.1", f"--health-port={self.health_port}",
            "-c", str(self.folder / "contour.yaml"),
        ]  # fmt: skip

    def envoy_command(self) -> list[str]:
        """The data plane."""
        return [
            str(find_envoy()), "-c", str(self.folder / "envoy.json"), "--service-cluster", "contour",
            "--service-node", "envoy-1", "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warn",
        ]  # fmt: skip
