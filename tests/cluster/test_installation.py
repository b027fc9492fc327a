"""What the chart installs is admitted, and what the operator was told in confidence is told to nobody."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rollout.kube.resources import EVENTS, PODS
from tests.cluster import installation
from tests.cluster.binaries import MINORS
from tests.cluster.box import Cluster, client_of

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)


def test_its_pods_are_admitted_where_only_restricted_ones_are(runner: asyncio.Runner, box: Cluster) -> None:
    async def story() -> None:
        async with client_of(box.kubeconfig) as client, asyncio.timeout(120):
            while len(pods := await client.list(PODS, installation.NAMESPACE)) < 2:
                await asyncio.sleep(0.2)
        for pod in pods:
            (container,) = pod["spec"]["containers"]
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True

    runner.run(story())


def confidential(box: Cluster) -> Iterator[bytes]:
    """What Secrets of the stories hold, and the operator's own token."""
    key = box.signing_key.read_text()
    config = yaml.safe_load(box.operator_kubeconfig.read_text())
    told = [*box.plan.passwords.values(), "".join(key.splitlines()[1:3]), config["users"][0]["user"]["token"]]
    for text in (*told, *key.splitlines()[1:-1]):
        yield text.encode()
        yield base64.b64encode(text.encode()).rstrip(b"=")


@pytest.mark.last
def test_no_secret_is_in_any_log_or_event(runner: asyncio.Runner, box: Cluster) -> None:
    async def events() -> bytes:
        async with client_of(box.kubeconfig) as client:
            return repr(await client.list(EVENTS)).encode()

    logs = [path for path in (box.folder / "logs").rglob("*.log") if path.is_file()]
    assert box.folder / "logs" / "operator.log" in logs
    found = {"events": runner.run(events())} | {str(path): path.read_bytes() for path in logs}
    secrets = list(confidential(box))
    assert [where for where, text in found.items() for secret in secrets if secret in text] == []
    assert _holders(box.control_plane.audit_log, secrets) == []


def _holders(log: Path, secrets: list[bytes]) -> list[bytes]:
    with log.open("rb") as lines:
        return [line for line in lines if any(secret in line for secret in secrets)]
