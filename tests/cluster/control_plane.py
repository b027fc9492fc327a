"""Command lines of a real control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SERVICES_CIDR = "10.0.0.0/16"
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""
CONTROLLERS = (
    "deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
    "job-controller", "garbage-collector-controller", "disruption-controller", "endpointslice-controller",
    "namespace-controller", "serviceaccount-controller", "root-ca-certificate-publisher-controller",
    "resourcequota-controller", "horizontal-pod-autoscaler-controller", "clusterrole-aggregation-controller",
)  # fmt: skip
"""Those that a rollout meets."""


@dataclass(frozen=True)
class ControlPlane:
    """One control plane in one folder, on 127.0.0.1.

    Attributes:
        kubernetes, etcd: folders of the programs.
        folder: of data, certificates and logs; `tokens.csv` in it says who may log in.
        port, etcd_port, peer_port: where they listen.
    """

    kubernetes: Path
    etcd: Path
    folder: Path
    port: int
    etcd_port: int
    peer_port: int

    @property
    def certificate(self) -> Path:
        """Of the API server, signed by itself; there once it serves."""
        return self.folder / "certs" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        """A line a request that was answered."""
        return self.folder / "audit.jsonl"

    def prepare(self) -> None:
        """Write what the programs read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
        (self.folder / "accounts.key").write_bytes(private)

    def etcd_command(self) -> list[str]:
        """Etcd, without the waits for a disk that nobody will read again."""
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        return [
            str(self.etcd / "etcd"), "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}", "--log-level", "warn",
        ]  # fmt: skip

    def apiserver_command(self, *more: str) -> list[str]:
        """The API server. RBAC, since with AlwaysAllow it turns anonymous requests off."""
        key = str(self.folder / "accounts.key")
        return [
            str(self.kubernetes / "kube-apiserver"), "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}",
            "--bind-address", "127.0.0.1", "--secure-port", str(self.port), "--advertise-address", "127.0.0.1",
            "--endpoint-reconciler-type", "none", "--cert-dir", str(self.folder / "certs"),
            "--token-auth-file", str(self.folder / "tokens.csv"),
            "--authorization-mode", "RBAC", "--anonymous-auth=true",
            "--service-account-key-file", key, "--service-account-signing-key-file", key,
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-cluster-ip-range", SERVICES_CIDR, "--profiling=false",
            "--audit-policy-file", str(self.folder / "audit-policy.yaml"), "--audit-log-path", str(self.audit_log),
            "--audit-log-maxsize", "4096",
            *more,
        ]  # fmt: skip

    def controllers_command(self, kubeconfig: Path) -> list[str]:
        """The controllers."""
        return [
            str(self.kubernetes / "kube-controller-manager"), "--kubeconfig", str(kubeconfig),
            "--controllers", ",".join(CONTROLLERS), "--leader-elect=false", "--secure-port", "0",
            "--service-account-private-key-file", str(self.folder / "accounts.key"),
            "--root-ca-file", str(self.certificate), "--kube-api-qps", "300", "--kube-api-burst", "600",
        ]  # fmt: skip

    def scheduler_command(self, kubeconfig: Path) -> list[str]:
        """The scheduler."""
        return [
            str(self.kubernetes / "kube-scheduler"), "--kubeconfig", str(kubeconfig), "--leader-elect=false",
            "--secure-port", "0", "--kube-api-qps", "300", "--kube-api-burst", "600",
        ]  # fmt: skip
