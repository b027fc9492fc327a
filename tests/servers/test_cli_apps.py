"""The command compares Applications with the cluster, and explains verdicts."""

import base64
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from rollout.domain.sync.digest import digest
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject
from rollout.kube.apply import apply_render
from rollout.kube.inventory import Owner
from rollout.kube.resources import ANALYSIS_RUNS, APPLICATIONS, CONFIG_MAPS, GIT_REPOSITORIES
from tests.support.command import Json, Scene, stage
from tests.unit.analysis.test_judge import look, simulated, spec
from tests.unit.cli.test_explain import run_of

APP: Json = {
    "metadata": {"name": "web"},
    "spec": {"source": {"repositoryRef": {"name": "config"}, "path": "apps/web"}, "sync": {"prune": True}},
}
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {mode: fast}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {token: s3cr3t-old}
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with stage(tmp_path_factory.mktemp("cli")) as made:
        yield made


def applied(scene: Scene, text: str) -> Json:
    """What the operator would have applied, and the Application's inventory of it."""
    objects = []
    for obj in yaml.safe_load_all(text):
        obj["metadata"]["namespace"] = "shop"
        objects.append(RenderedObject(ObjectId.of(obj), obj, "apps/web/all.yaml"))
    rendered = Rendered("a" * 40, tuple(sorted(objects, key=lambda o: o.id)), frozenset(), digest(text), "")
    report = scene.do(lambda client: apply_render(client, rendered, Owner("shop", "web"), now=0.0))
    assert not report.failures
    entries = [{"id": str(o.id), "v": "v1"} for o in rendered.objects]
    return {"inventory": {"count": len(entries), "entries": entries}}


def checkout(folder: Path, text: str) -> str:
    (folder / "apps" / "web").mkdir(parents=True, exist_ok=True)
    (folder / "apps" / "web" / "all.yaml").write_text(text)
    return str(folder)


def test_a_diff_of_a_checkout_shows_what_a_sync_would_change_and_writes_nothing(scene: Scene, tmp_path: Path) -> None:
    scene.reset(None, (APPLICATIONS, {**APP, "status": {}}))
    inventory = applied(scene, CONFIG)
    scene.do(lambda c: c.merge_patch(APPLICATIONS, "shop", "web", {"status": inventory}, subresource="status"))
    out, _ = scene.run("app", "diff", "web", "--path", checkout(tmp_path, CONFIG))
    assert "no difference" in out
    changed = CONFIG.replace("fast", "slow").replace("s3cr3t-old", "s3cr3t-new").replace("name: key", "name: key")
    out, _ = scene.run("app", "diff", "web", "--path", checkout(tmp_path, changed), code=1)
    assert "-  mode: fast" in out
    assert "+  mode: slow" in out
    assert "+  token: '*** (after)'" in out
    assert base64.b64encode(b"s3cr3t-new").decode() not in out
    assert "2 to change" in out
    only_new = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {}\n"
    out, _ = scene.run("app", "diff", "web", "--path", checkout(tmp_path, only_new), code=1)
    assert "1 to create, 2 to delete" in out
    live = scene.do(lambda client: client.get(CONFIG_MAPS, "shop", "conf"))
    assert live["data"] == {"mode": "fast"}
    assert scene.do(lambda client: client.get(CONFIG_MAPS, "shop", "other")) is None


def test_a_repository_that_the_operator_would_not_ask_is_not_asked_by_the_command_either(scene: Scene) -> None:
    url = {"url": "http://git.example.com/config.git", "ref": {"branch": "main"}, "secretRef": {"name": "git-read"}}
    scene.reset(None, (APPLICATIONS, APP), (GIT_REPOSITORIES, {"metadata": {"name": "config"}, "spec": url}))
    _, told = scene.run("app", "diff", "web", code=2)
    assert "GitRepository config is invalid: spec.url" in told
    elsewhere = {**APP["spec"], "destination": {"kubeConfig": {"secretRef": {"name": "other"}}}}
    scene.reset(None, (APPLICATIONS, {**APP, "spec": elsewhere}))
    _, told = scene.run("app", "diff", "web", code=2)
    assert "spec.destination.kubeConfig" in told


def test_a_checkout_that_cannot_be_rendered_is_an_error_and_no_difference(scene: Scene, tmp_path: Path) -> None:
    scene.reset(None, (APPLICATIONS, APP))
    _, told = scene.run("app", "diff", "web", "--path", checkout(tmp_path, "a: [unclosed\n"), code=2)
    assert "apps/web/all.yaml" in told


@pytest.fixture(scope="module")
def verdict() -> tuple[Json, Json]:
    """A failed run and its record, as the operator writes them."""
    judgement, record = look(spec(), simulated(0.30), 120)
    assert record is not None
    run = msgspec.to_builtins(run_of(judgement))
    packed = base64.b64encode(gzip.compress(record, mtime=0)).decode()
    return run, {"metadata": {"name": "web-2-record"}, "binaryData": {"record.json.gz": packed}}


def test_a_verdict_is_explained_and_its_record_replays_bit_for_bit(scene: Scene, verdict: tuple[Json, Json]) -> None:
    run, record = verdict
    scene.reset(None, (ANALYSIS_RUNS, run), (CONFIG_MAPS, record))
    out, _ = scene.run("analysis", "explain", "web-2")
    assert "AnalysisRun web-2 is Failed" in out
    assert "bit for bit" in out
    assert re.search(r"canary: +\d+ of \d+, 4 pods", out)


def test_a_record_that_was_changed_is_not_believed(scene: Scene, verdict: tuple[Json, Json]) -> None:
    run, record = verdict
    content = gzip.decompress(base64.b64decode(record["binaryData"]["record.json.gz"]))
    forged = base64.b64encode(gzip.compress(content.replace(b'"budget":0.01', b'"budget":0.02'))).decode()
    scene.reset(None, (ANALYSIS_RUNS, run), (CONFIG_MAPS, {**record, "binaryData": {"record.json.gz": forged}}))
    out, told = scene.run("analysis", "explain", "web-2", code=1)
    assert "DOES NOT FIT" in told
    assert "bit for bit" not in out


def test_a_record_that_is_gone_is_told(scene: Scene, verdict: tuple[Json, Json]) -> None:
    run, _ = verdict
    scene.reset(None, (ANALYSIS_RUNS, run))
    assert "is not there" in scene.run("analysis", "explain", "web-2", code=1)[1]


def test_a_run_without_a_comparison_is_explained_from_its_status(scene: Scene, verdict: tuple[Json, Json]) -> None:
    run, _ = verdict
    plain = {**run, "status": {"phase": "Successful"}}
    scene.reset(None, (ANALYSIS_RUNS, plain))
    out, told = scene.run("analysis", "explain", "web-2")
    assert "is Successful" in out
    assert "no record was kept" in told
