"""Merge, JSON and strategic merge patches, and the scale subresource."""

from tests.conformance.api.samples import deployment, widget
from tests.conformance.client import JSON_PATCH, STRATEGIC, Api


def test_merge_patches_merge_maps_and_replace_lists(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a", {"replicas": 1, "steps": [1, 2], "labels": {"x": "1"}}))
    patched = api.patch(f"{widgets}/a", {"spec": {"steps": [3], "labels": {"y": "2"}}})
    assert patched.body["spec"] == {"replicas": 1, "mode": "Slow", "steps": [3], "labels": {"x": "1", "y": "2"}}


def test_nulls_in_merge_patches_delete(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a", annotations={"k": "v", "l": "w"}))
    patched = api.patch(f"{widgets}/a", {"metadata": {"annotations": {"k": None}}})
    assert patched.body["metadata"]["annotations"] == {"l": "w"}


def test_json_patches_change_what_they_point_at(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a", {"replicas": 1, "steps": [1, 3], "labels": {"a/b": "c"}}))
    operations = [
        {"op": "replace", "path": "/spec/replicas", "value": 7},
        {"op": "add", "path": "/spec/steps/1", "value": 2},
        {"op": "remove", "path": "/spec/labels/a~1b"},
        {"op": "add", "path": "/spec/labels/z", "value": "z"},
    ]
    patched = api.patch(f"{widgets}/a", operations, JSON_PATCH)
    assert patched.status == 200
    assert patched.body["spec"] == {"replicas": 7, "mode": "Slow", "steps": [1, 2, 3], "labels": {"z": "z"}}


def test_a_json_patch_whose_test_fails_changes_nothing(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "replace", "path": "/spec/replicas", "value": 8},
    ]
    assert api.patch(f"{widgets}/a", operations, JSON_PATCH).status == 422
    assert api.get(f"{widgets}/a").body["spec"]["replicas"] == 3
    missing = [{"op": "remove", "path": "/spec/labels/x"}]
    assert api.patch(f"{widgets}/a", missing, JSON_PATCH).status == 422


def test_a_resource_version_in_a_patch_is_a_premise(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 9}}
    reply = api.patch(f"{widgets}/a", stale)
    assert (reply.status, reply.body["reason"]) == (409, "Conflict")


def test_strategic_patches_are_for_built_in_kinds(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    reply = api.patch(f"{widgets}/a", {"spec": {"replicas": 1}}, STRATEGIC)
    assert (reply.status, reply.body["reason"]) == (415, "UnsupportedMediaType")


def test_strategic_patches_merge_lists_by_their_keys(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    body = deployment("d")
    containers = body["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "side", "image": "registry.example/side:1", "env": [{"name": "A", "value": "1"}]})
    assert api.post(path, body).status == 201
    patch = {"spec": {"template": {"spec": {"containers": [
        {"name": "side", "image": "registry.example/side:2", "env": [{"name": "B", "value": "2"}]},
        {"name": "extra", "image": "registry.example/extra:1"},
    ]}}}}  # fmt: skip
    patched = api.patch(f"{path}/d", patch, STRATEGIC).body["spec"]["template"]["spec"]["containers"]
    found = {one["name"]: one for one in patched}
    assert sorted(found) == ["app", "extra", "side"]
    assert found["side"]["image"] == "registry.example/side:2"
    assert {one["name"]: one["value"] for one in found["side"]["env"]} == {"A": "1", "B": "2"}
    assert found["app"]["image"] == "registry.example/app:1"


def test_strategic_directives_delete_and_replace(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    body = deployment("d")
    pod = body["spec"]["template"]["spec"]
    pod["containers"].append({"name": "side", "image": "registry.example/side:1"})
    pod["volumes"] = [{"name": "v", "emptyDir": {}}]
    api.post(path, body)
    removed = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    spec = api.patch(f"{path}/d", removed, STRATEGIC).body["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["containers"]] == ["app"]
    replaced = {"spec": {"template": {"spec": {"volumes": [
        {"$patch": "replace"}, {"name": "w", "emptyDir": {}},
    ]}}}}  # fmt: skip
    spec = api.patch(f"{path}/d", replaced, STRATEGIC).body["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["volumes"]] == ["w"]
    recreate = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert api.patch(f"{path}/d", recreate, STRATEGIC).body["spec"]["strategy"] == {"type": "Recreate"}


def test_strategic_patches_of_conditions_leave_those_of_others(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    api.post(path, deployment("d"))
    for kind in ("Available", "Progressing"):
        patch = {"status": {"conditions": [{"type": kind, "status": "True"}]}}
        reply = api.patch(f"{path}/d/status", patch, STRATEGIC)
    assert sorted(one["type"] for one in reply.body["status"]["conditions"]) == ["Available", "Progressing"]


def test_deployments_are_scaled(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    api.post(path, deployment("d", replicas=2))
    scale = api.get(f"{path}/d/scale").body
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 2}, "app=d")
    assert api.put(f"{path}/d/scale", {**scale, "spec": {"replicas": 4}}).body["spec"] == {"replicas": 4}
    assert api.patch(f"{path}/d/scale", {"spec": {"replicas": 5}}).status == 200
    found = api.get(f"{path}/d").body
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (5, 3)
    stale = api.put(f"{path}/d/scale", {**scale, "spec": {"replicas": 6}})
    assert stale.status == 409


def test_custom_resources_are_scaled_where_their_definition_says(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    api.patch(f"{widgets}/a/status", {"status": {"replicas": 2, "selector": "app=a"}})
    scale = api.get(f"{widgets}/a/scale").body
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "app=a"})
    api.patch(f"{widgets}/a/scale", {"spec": {"replicas": 4}})
    assert api.get(f"{widgets}/a").body["spec"]["replicas"] == 4


def test_unknown_patch_types_are_refused(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    assert api.patch(f"{widgets}/a", {"spec": {}}, "application/json").status == 415
