"""kubectl and our own kinds: everything a user does with them, on the embedded API server, always validated."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from rollout.api.crds import KINDS, Kind
from tests.support.api_process import ROOT, Running, embedded_server

BINARY = Path(sys.executable).parent / "kubectl"
Kubectl = Callable[..., str]

MANIFESTS = """
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: demo:1
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 250m, memory: 256Mi}}
  strategy:
    canary:
      analysis:
        startingStep: 1
        templates: [{templateName: health}]
        comparison: {falseRollbackBudget: 1%, warmUp: 3m}
      steps: [{setWeight: 25}, {pause: {duration: 10m}}, {verify: {timeout: 30m, onTimeout: Pause}}]
  revert: {mode: Auto, triggers: [AnalysisFailed]}
---
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: health}
spec:
  args: [{name: prometheus, value: "http://prometheus.monitoring:9090"}]
  metrics:
  - name: errors
    interval: 30s
    provider: {prometheus: {address: "{{args.prometheus}}"}}
    comparison:
      counts:
        events: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}", code=~"5.."}
        total: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
      tolerance: 50%
---
apiVersion: coalmine.dev/v1alpha1
kind: ClusterAnalysisTemplate
metadata: {name: health}
spec:
  args: [{name: prometheus, value: "http://prometheus.monitoring:9090"}]
  metrics:
  - name: errors
    interval: 30s
    provider: {prometheus: {address: "{{args.prometheus}}"}}
    comparison:
      counts:
        events: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}", code=~"5.."}
        total: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
      tolerance: 50%
---
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisRun
metadata: {name: smoke}
spec:
  metrics:
  - name: up
    count: 1
    successCondition: result[0] == 1
    provider: {prometheus: {address: "http://prometheus.monitoring:9090", query: up}}
---
apiVersion: coalmine.dev/v1alpha1
kind: Experiment
metadata: {name: compare}
spec:
  duration: 5m
  templates:
  - name: canary
    replicas: 1
    selector: {matchLabels: {app: compare}}
    template:
      metadata: {labels: {app: compare}}
      spec: {containers: [{name: web, image: "demo:2"}]}
---
apiVersion: coalmine.dev/v1alpha1
kind: FailureModel
metadata: {name: web}
spec:
  rolloutRef: {name: web}
  mode: Shadow
  validUntil: "2027-01-20T00:00:00Z"
  window: 30s
---
apiVersion: coalmine.dev/v1alpha1
kind: GitRepository
metadata: {name: config}
spec:
  url: https://git.example/acme/config.git
  ref: {branch: main}
  interval: 3m
---
apiVersion: coalmine.dev/v1alpha1
kind: Application
metadata: {name: web}
spec:
  source: {repositoryRef: {name: config}, path: apps/web}
  sync: {interval: 10m, prune: true}
"""
DOCUMENTS = list(yaml.safe_load_all(MANIFESTS))
NAMES = {d["kind"]: d["metadata"]["name"] for d in DOCUMENTS}
KIND_IDS = [kind.plural for kind in KINDS]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with embedded_server(tmp_path_factory.mktemp("ours"), "--crds", str(ROOT / "crds")) as server:
        yield server


@pytest.fixture
def kubectl(running: Running, tmp_path: Path) -> Iterator[Kubectl]:
    """kubectl with all manifests applied; gone again in the end."""
    environment = {**os.environ, "KUBECONFIG": str(running.kubeconfig), "HOME": str(tmp_path)}

    def run(*arguments: str, given: str | None = None, code: int = 0) -> str:
        done = subprocess.run(
            [BINARY, *arguments], input=given, capture_output=True, text=True, env=environment, timeout=120, check=False
        )
        assert done.returncode == code, done.stderr or done.stdout
        return done.stdout + done.stderr

    run("apply", "-f", "-", given=MANIFESTS)
    yield run
    run("delete", "-f", "-", "--ignore-not-found", "--timeout=60s", given=MANIFESTS)


def test_there_is_a_manifest_of_each_kind() -> None:
    assert set(NAMES) == {kind.struct.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_each_kind_is_got_described_labelled_and_deleted(kubectl: Kubectl, kind: Kind) -> None:
    plural, name = kind.plural, NAMES[kind.struct.__name__]
    assert name in kubectl("get", plural)
    assert json.loads(kubectl("get", plural, name, "-o", "json"))["kind"] == kind.struct.__name__
    assert f"Name:         {name}" in kubectl("describe", plural, name)
    kubectl("label", plural, name, "tier=front")
    assert name in kubectl("get", plural, "-l", "tier=front")
    kubectl("delete", plural, name, "--timeout=60s")
    assert "NotFound" in kubectl("get", plural, name, code=1)


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_each_kind_is_explained_field_by_field(kubectl: Kubectl, kind: Kind) -> None:
    plural = kind.plural
    assert "DESCRIPTION" in kubectl("explain", plural)
    assert "\tspec" in kubectl("explain", plural, "--recursive").replace("  ", "\t")
    crd = yaml.safe_load((ROOT / "crds" / f"coalmine.dev_{plural}.yaml").read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    told = " ".join(kubectl("explain", f"{plural}.spec").split())
    for name, schema in spec["properties"].items():
        assert name in told
        assert " ".join(schema["description"].split())[:40] in told


def test_apply_on_either_side_changes_nothing_the_second_time(kubectl: Kubectl) -> None:
    columns = "custom-columns=KIND:.kind,VERSION:.metadata.resourceVersion"
    before = kubectl("get", "coalmine", "-A", "-o", columns)
    assert len(before.splitlines()) == len(KINDS) + 1
    # kubectl says "configured" of the Rollout: it compares lists whole, and the port's protocol was defaulted.
    kubectl("apply", "-f", "-", given=MANIFESTS)
    assert kubectl("get", "coalmine", "-A", "-o", columns) == before
    told = kubectl("apply", "--server-side", "-f", "-", given=MANIFESTS)
    assert all(line.endswith("serverside-applied") for line in told.splitlines())
    assert kubectl("diff", "--server-side", "-f", "-", given=MANIFESTS) == ""


def test_a_rollout_is_scaled_patched_and_waited_for(kubectl: Kubectl) -> None:
    kubectl("scale", "rollout/web", "--replicas=6", "--current-replicas=4")
    assert kubectl("get", "rollout", "web", "-o", "jsonpath={.spec.replicas}") == "6"
    kubectl("patch", "rollout", "web", "--type=merge", "-p", '{"spec": {"paused": true}}')
    kubectl("patch", "rollout", "web", "--type=json", "-p", '[{"op": "replace", "path": "/spec/replicas", "value": 2}]')
    status = '{"status": {"conditions": [{"type": "Healthy", "status": "True"}], "phase": "Healthy"}}'
    kubectl("patch", "rollout", "web", "--subresource=status", "--type=merge", "-p", status)
    assert "condition met" in kubectl("wait", "rollout/web", "--for=condition=Healthy", "--timeout=30s")
    assert "condition met" in kubectl("wait", "rollout/web", "--for=jsonpath={.status.phase}=Healthy", "--timeout=30s")
    live = json.loads(kubectl("get", "rollout", "web", "-o", "json"))
    assert (live["spec"]["replicas"], live["spec"]["paused"], live["status"]["phase"]) == (2, True, "Healthy")
    header, row = kubectl("get", "rollouts", "-o", "wide").splitlines()
    assert header.split()[:2] == ["NAME", "DESIRED"]
    assert row.split()[:2] == ["web", "2"]


def test_wrong_manifests_are_refused_with_the_field_and_the_reason(kubectl: Kubectl) -> None:
    rollout = next(d for d in DOCUMENTS if d["kind"] == "Rollout")

    def refused(change: dict) -> str:
        spec = {**rollout["spec"], **change}
        wrong = {**rollout, "metadata": {"name": "wrong"}, "spec": spec}
        return kubectl("create", "-f", "-", given=json.dumps(wrong), code=1)

    assert 'unknown field "spec.replicass"' in refused({"replicass": 3})
    assert "spec.replicas" in refused({"replicas": "many"})
    steps = {"canary": {"steps": [{"setWeight": "a lot"}]}}
    assert "spec.strategy.canary.steps[0].setWeight" in refused({"strategy": steps})


def test_kubectl_watches_our_kinds(kubectl: Kubectl, running: Running, tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(running.kubeconfig), "HOME": str(tmp_path)}
    command = [BINARY, "get", "rollouts", "-w", "--output-watch-events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        assert watching.stdout is not None
        try:
            assert watching.stdout.readline().split()[:2] == ["EVENT", "NAME"]
            assert watching.stdout.readline().split()[:2] == ["ADDED", "web"]
            kubectl("scale", "rollout/web", "--replicas=5")
            assert watching.stdout.readline().split()[:3] == ["MODIFIED", "web", "5"]
        finally:
            watching.terminate()
