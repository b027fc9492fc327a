"""Kustomize with the real binary: overlays work, everything remote or executable is refused before it runs."""

import json

import pytest

from rollout.errors import RenderError
from rollout.render.closure import kustomize_closure
from rollout.render.kustomize import render_kustomize
from rollout.render.limits import Limits
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
        "Resources: ['http://127.0.0.1/x']",
        "re\u017fources: ['http://127.0.0.1/x']",
        "OpenAPI: {path: 'http://127.0.0.1/x'}",
        "openapi: {Path: 'http://127.0.0.1/x'}",
        "patches: [{Path: 'http://127.0.0.1/x'}]",
        "patches: [{path: !!binary aHR0cDovLzEyNy4wLjAuMS94}]",
        "patches: [{path: [a]}]",
        "replacements: [{path: 'http://127.0.0.1/x'}]",
        "configMapGenerator: [{name: x, Files: ['http://127.0.0.1/x']}]",
        "configMapGenerator: [{name: x, ENV: 'http://127.0.0.1/x'}]",
        "generators: [.]",
        "generators: ['- 1']",
        "generators: ['{{{']",
        "transformers: [missing.yaml]",
    ],
)
def test_a_hostile_kustomization_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        kustomize_closure(memory_tree({"app/kustomization.yaml": text + "\n"}), "app")


PLUGIN = "apiVersion: builtin\nkind: %s\nmetadata: {name: x}\n"


@pytest.mark.parametrize(
    "plugin",
    [
        PLUGIN % "ConfigMapGenerator" + "files: ['http://127.0.0.1/x']\n",
        PLUGIN % "SecretGenerator" + "envs: ['k=https://127.0.0.1/x']\n",
        PLUGIN % "ConfigMapGenerator" + "Files: ['http://127.0.0.1/x']\n",
        PLUGIN % "PatchTransformer" + "path: 'http://127.0.0.1/x'\n",
        PLUGIN % "PatchStrategicMergeTransformer" + "paths: ['http://127.0.0.1/x']\n",
        PLUGIN % "ReplacementTransformer" + "replacements: [{path: 'http://127.0.0.1/x'}]\n",
        '--- {apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: x}, files: ["http:\\x2f\\x2fa"]}',
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: builtin, kind: X, metadata: {name: x}, path: 'http://a'}\n",
    ],
)
@pytest.mark.parametrize("key", ["generators", "transformers"])
def test_a_plugin_that_reads_the_network_is_refused_inline_and_in_a_file(plugin: str, key: str) -> None:
    inline = {"app/kustomization.yaml": json.dumps({key: [plugin]})}
    in_file = {"app/kustomization.yaml": f"{key}: [plugin.yaml]\n", "app/plugin.yaml": plugin}
    for files in (inline, in_file):
        with pytest.raises(RenderError, match=r"is not a path in this repository|is not a field"):
            kustomize_closure(memory_tree(files), "app")


def test_a_plugin_in_a_folder_is_refused_since_its_build_is_not_known_before() -> None:
    files = {"app/kustomization.yaml": "generators: [gen]\n", "app/gen/kustomization.yaml": "resources: [g.yaml]\n"}
    with pytest.raises(RenderError, match="name the files"):
        kustomize_closure(memory_tree(files), "app")


def test_a_transformer_and_the_patch_it_names_work_and_are_in_the_closure() -> None:
    patcher = PLUGIN % "PatchTransformer" + "path: patch.yaml\ntarget: {kind: Rollout}\n"
    files = {
        "app/kustomization.yaml": "resources: [web.yaml]\ntransformers: [patcher.yaml]\n",
        "app/web.yaml": ROLLOUT,
        "app/patcher.yaml": patcher,
        "app/patch.yaml": PATCH,
    }
    tree = memory_tree(files)
    assert render_kustomize(tree, "app")[0][0]["spec"]["replicas"] == 5
    assert tree.closure == set(files)


def test_the_number_of_files_is_bounded() -> None:
    files = {f"app/{i}.yaml": ROLLOUT.replace("web", f"web{i}") for i in range(5)}
    tree = memory_tree(
        {**files, "app/kustomization.yaml": json.dumps({"resources": [name[4:] for name in files]})},
        limits=Limits(files=4),
    )
    with pytest.raises(RenderError, match="more than 4 files"):
        kustomize_closure(tree, "app")


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
