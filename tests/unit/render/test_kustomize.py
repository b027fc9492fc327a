"""Kustomize with the real binary: overlays work, everything remote or executable is refused before it runs."""

import pytest

from rollout.errors import RenderError
from rollout.render.closure import kustomize_closure
from rollout.render.kustomize import render_kustomize
from tests.support.memory_tree import memory_tree

ROLLOUT = "apiVersion: coalmine.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {replicas: 1}\n"
BASE = {
    "base/kustomization.yaml": "resources: [rollout.yaml]\nconfigMapGenerator:\n- {name: conf, files: [k=conf.txt]}\n",
    "base/rollout.yaml": ROLLOUT,
    "base/conf.txt": "hello",
}
OVERLAY = "resources: [../../base]\nnamePrefix: prod-\npatches:\n- {path: patch.yaml, target: {kind: Rollout}}\n"
PATCH = "- {op: replace, path: /spec/replicas, value: 5}\n"


def test_an_overlay_is_built_and_its_closure_is_exact() -> None:
    files = {**BASE, "over/prod/kustomization.yaml": OVERLAY, "over/prod/patch.yaml": PATCH, "over/other.yaml": "x"}
    tree = memory_tree(files)
    built = {obj["kind"]: obj for obj, _ in render_kustomize(tree, "over/prod")}
    assert built["Rollout"]["spec"]["replicas"] == 5
    assert built["Rollout"]["metadata"]["name"] == "prod-web"
    assert built["ConfigMap"]["data"] == {"k": "hello"}
    assert tree.closure == {*BASE, "over/prod/kustomization.yaml", "over/prod/patch.yaml"}


@pytest.mark.parametrize(
    "entry",
    [
        "https://example.com/base",
        "http://127.0.0.1/base?ref=x",
        "github.com/acme/base",
        "github.com/acme/base?ref=v1",
        "git@github.com:acme/base.git",
        "git::https://example.com/base",
        "ssh://git@example.com/base",
        "file:///etc",
        "example.com/acme/base.git//sub",
        "gitlab.com/acme/base",
        "/etc",
        "../../../etc",
        "base?ref=main",
        "s3::bucket/base",
    ],
)
@pytest.mark.parametrize("key", ["resources", "bases", "components", "crds"])
def test_a_remote_or_outside_base_is_refused_before_kustomize_runs(entry: str, key: str) -> None:
    tree = memory_tree({"app/kustomization.yaml": f"{key}: ['{entry}']\n"})
    with pytest.raises(RenderError, match=r"refused|leaves the repository|does not exist"):
        kustomize_closure(tree, "app")


@pytest.mark.parametrize(
    "text",
    [
        "helmCharts: [{name: x, repo: 'https://example.com'}]",
        "helmChartInflationGenerator: [{chartName: x}]",
        "resources: [missing.yaml]",
        "resources: a",
        "resources: [{a: b}]",
        "patches: [a]",
        "- a",
        "patches: [{path: ../../secret}]",
        "configMapGenerator: [{name: x, files: [/etc/passwd]}]",
        "configMapGenerator: [{name: x, files: [k=../../etc/passwd]}]",
        "secretGenerator: [{name: x, envs: ['https://example.com/x']}]",
        "generators: ['https://example.com/g.yaml']",
        "openapi: {path: ../../x}",
    ],
)
def test_a_hostile_kustomization_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        kustomize_closure(memory_tree({"app/kustomization.yaml": text + "\n"}), "app")


def test_a_plugin_that_runs_a_program_is_refused() -> None:
    plugin = (
        "generators:\n- |-\n  apiVersion: v1\n  kind: X\n  metadata:\n    name: x\n    annotations:\n"
        "      config.kubernetes.io/function: 'exec: {path: ./evil}'\n"
    )
    with pytest.raises(RenderError, match="runs a program"):
        kustomize_closure(memory_tree({"app/kustomization.yaml": plugin}), "app")


def test_kustomize_words_are_reported() -> None:
    files = {"app/kustomization.yaml": "resources: [a.yaml]\npatches: [{patch: 'nonsense', target: {kind: X}}]\n"}
    with pytest.raises(RenderError, match="app: "):
        render_kustomize(memory_tree({**files, "app/a.yaml": ROLLOUT}), "app")


def test_a_cycle_of_bases_ends() -> None:
    files = {"a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../a]\n"}
    with pytest.raises(RenderError):
        render_kustomize(memory_tree(files), "a")
