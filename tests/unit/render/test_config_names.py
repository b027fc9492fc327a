"""Configuration of a Rollout is shifted in steps: its name carries its content."""

from typing import Any

from rollout.render.configs import hash_config_names


def config(name: str, kind: str = "ConfigMap", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}


def rollout(spec: dict[str, Any], kind: str = "Rollout") -> dict[str, Any]:
    api = "coalmine.dev/v1alpha1" if kind == "Rollout" else "apps/v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}}


def pod(*names: str) -> dict[str, Any]:
    a, b, c, d = names
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": a, "key": "k"}}}, {"name": "B", "value": a}]
    return {
        "containers": [{"name": "web", "env": env, "envFrom": [{"secretRef": {"name": b}}]}],
        "volumes": [
            {"name": "v", "configMap": {"name": c}},
            {"name": "w", "projected": {"sources": [{"secret": {"name": d}}]}},
        ],
        "imagePullSecrets": [{"name": b}],
    }


def run(*objects: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    hashed, warnings = hash_config_names([(obj, "f") for obj in objects], "shop")
    return [obj for obj, _ in hashed], warnings


def test_every_place_of_a_pod_template_is_rewritten() -> None:
    source = rollout(pod("a", "b", "c", "d"))
    objects = [config("a", x="1"), config("b", "Secret"), config("c"), config("d", "Secret"), config("unused"), source]
    (a, b, c, d, unused, web), warnings = run(*objects)
    new = {old: obj["metadata"]["name"] for old, obj in zip("abcd", (a, b, c, d), strict=True)}
    assert all(name.startswith(f"{old}-") and len(name) == 12 for old, name in new.items())
    spec = web["spec"]["template"]["spec"]
    container = spec["containers"][0]
    assert container["env"][0]["valueFrom"]["configMapKeyRef"]["name"] == new["a"]
    assert container["env"][1]["value"] == "a"
    assert container["envFrom"][0]["secretRef"]["name"] == new["b"]
    assert spec["volumes"][0]["configMap"]["name"] == new["c"]
    assert spec["volumes"][1]["projected"]["sources"][0]["secret"]["name"] == new["d"]
    assert a["metadata"]["annotations"] == {"coalmine.dev/config-name": "a"}
    assert unused["metadata"]["name"] == "unused"
    assert warnings == []
    assert source == rollout(pod("a", "b", "c", "d"))


def test_the_name_follows_the_content() -> None:
    spec = {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "a"}}]}]}
    one, two, same = (run(config("a", x=value), rollout(spec))[0][0]["metadata"]["name"] for value in "121")
    assert one != two
    assert one == same


def test_a_deployment_that_reads_the_same_configuration_follows_and_alone_it_is_left_alone() -> None:
    spec = {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "a"}}]}]}
    (a, _, deployment), _ = run(config("a"), rollout(spec), rollout(spec, "Deployment"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"][0]["configMapRef"]["name"] == a["metadata"]["name"]
    (alone, _), _ = run(config("a"), rollout(spec, "Deployment"))
    assert alone["metadata"]["name"] == "a"


def test_configuration_that_is_not_rendered_here_is_warned_about() -> None:
    spec = {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "elsewhere"}}]}]}
    _, warnings = run(rollout(spec))
    assert warnings == [
        "ConfigMap shop/elsewhere is read by a Rollout but not rendered here: its changes reach all pods at once"
    ]


def test_names_that_kustomize_hashed_are_left_alone() -> None:
    spec = {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "conf-92c6m9kkcf"}}]}]}
    (hashed, _), _ = run(config("conf-92c6m9kkcf"), rollout(spec))
    assert hashed["metadata"]["name"] == "conf-92c6m9kkcf"
