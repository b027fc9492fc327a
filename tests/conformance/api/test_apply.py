"""Server-side apply and field ownership."""

from typing import Any

import pytest
import yaml

from tests.conformance.api.samples import config_map, deployment, pod_template, widget
from tests.conformance.client import APPLY, Api, Reply


def apply(api: Api, path: str, body: dict[str, Any], manager: str, *, force: bool = False) -> Reply:
    query = f"fieldManager={manager}{'&force=true' if force else ''}"
    return api.patch(f"{path}?{query}", body, APPLY)


def owned(body: dict[str, Any], manager: str, operation: str = "Apply", subresource: str = "") -> Any:
    """The fields that a manager owns, None when it owns none."""
    for entry in body["metadata"]["managedFields"]:
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (
            manager, operation, subresource
        ):  # fmt: skip
            return entry["fieldsV1"]
    return None


def test_apply_creates_and_then_updates(api: Api, widgets: str) -> None:
    first = apply(api, f"{widgets}/a", widget("a"), "me")
    again = apply(api, f"{widgets}/a", widget("a", {"replicas": 4}), "me")
    assert (first.status, again.status) == (201, 200)
    assert again.body["spec"] == {"replicas": 4, "mode": "Slow"}
    assert owned(again.body, "me") == {"f:spec": {"f:replicas": {}}}


def test_apply_takes_yaml(api: Api, widgets: str) -> None:
    reply = api.patch(f"{widgets}/a?fieldManager=me", yaml.safe_dump(widget("a")), APPLY)
    assert (reply.status, reply.body["spec"]["replicas"]) == (201, 3)


def test_apply_needs_a_manager(api: Api, widgets: str) -> None:
    reply = api.patch(f"{widgets}/a", widget("a"), APPLY)
    assert reply.status in {400, 422}


def test_applying_the_same_again_changes_nothing(api: Api, widgets: str) -> None:
    first = apply(api, f"{widgets}/a", widget("a"), "me").body["metadata"]
    again = apply(api, f"{widgets}/a", widget("a"), "me").body["metadata"]
    assert again["resourceVersion"] == first["resourceVersion"]
    assert again["managedFields"] == first["managedFields"]


def test_fields_that_are_left_out_go_away(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "paused": True, "labels": {"x": "1", "y": "2"}}), "me")
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "labels": {"y": "2"}}), "me")
    assert reply.body["spec"] == {"replicas": 1, "mode": "Slow", "labels": {"y": "2"}}


def test_fields_that_others_own_too_stay(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "paused": True}), "me")
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "paused": True}), "other")
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 1}), "me")
    assert reply.body["spec"]["paused"] is True
    assert owned(reply.body, "other") == {"f:spec": {"f:paused": {}, "f:replicas": {}}}


def test_a_conflict_names_owner_and_field(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a"), "me")
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 9}), "other")
    assert (reply.status, reply.body["reason"]) == (409, "Conflict")
    assert reply.body["message"] == 'Apply failed with 1 conflict: conflict with "me": .spec.replicas'
    [cause] = reply.body["details"]["causes"]
    assert cause == {"reason": "FieldManagerConflict", "message": 'conflict with "me"', "field": ".spec.replicas"}


def test_several_conflicts_are_listed(api: Api, widgets: str) -> None:
    api.post(f"{widgets}?fieldManager=first", widget("a", {"replicas": 1, "paused": False}))
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 2, "paused": True}), "other")
    assert reply.status == 409
    assert reply.body["message"].startswith('Apply failed with 2 conflicts: conflicts with "first" using')
    assert {one["field"] for one in reply.body["details"]["causes"]} == {".spec.replicas", ".spec.paused"}


def test_force_takes_the_fields_over(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "paused": False}), "me")
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 9}), "other", force=True)
    assert reply.body["spec"]["replicas"] == 9
    assert owned(reply.body, "me") == {"f:spec": {"f:paused": {}}}
    assert owned(reply.body, "other") == {"f:spec": {"f:replicas": {}}}


def test_equal_values_are_shared_without_conflict(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a"), "me")
    assert apply(api, f"{widgets}/a", widget("a"), "other").status == 200


def test_updates_take_what_they_change(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "paused": False}), "me")
    reply = api.patch(f"{widgets}/a?fieldManager=editor", {"spec": {"replicas": 2}})
    assert owned(reply.body, "me") == {"f:spec": {"f:paused": {}}}
    assert owned(reply.body, "editor", "Update") == {"f:spec": {"f:replicas": {}}}


def test_creators_own_what_they_set(api: Api, widgets: str) -> None:
    reply = api.post(f"{widgets}?fieldManager=maker", widget("a", {"replicas": 1}, labels={"x": "y"}))
    assert owned(reply.body, "maker", "Update") == {
        "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
        "f:spec": {".": {}, "f:mode": {}, "f:replicas": {}},
    }


def test_the_user_agent_is_the_manager_by_default(api: Api, widgets: str) -> None:
    reply = api.call("POST", widgets, widget("a"), User_Agent="robot/1.0 (linux)")
    assert [one["manager"] for one in reply.body["metadata"]["managedFields"]] == ["robot"]


def test_status_is_owned_apart(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    status = {**widget("a"), "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    del status["spec"]
    reply = apply(api, f"{widgets}/a/status", status, "me")
    assert reply.status == 200
    assert owned(reply.body, "me", subresource="status") == {
        "f:status": {"f:conditions": {'k:{"type":"Ready"}': {".": {}, "f:status": {}, "f:type": {}}}}
    }


def test_list_items_are_owned_by_their_keys(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "ports": [{"name": "x", "port": 1}]}), "me")
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "ports": [{"name": "y", "port": 2}]}), "other")
    assert [one["name"] for one in reply.body["spec"]["ports"]] == ["x", "y"]
    assert reply.body["spec"]["ports"][0]["protocol"] == "TCP"
    gone = apply(api, f"{widgets}/a", widget("a", {"replicas": 1}), "me")
    assert [one["name"] for one in gone.body["spec"]["ports"]] == ["y"]


def test_set_items_are_owned_one_by_one(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "tags": ["x", "y"]}), "me")
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "tags": ["z"]}), "other")
    assert sorted(reply.body["spec"]["tags"]) == ["x", "y", "z"]
    reply = apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "tags": ["y"]}), "me")
    assert sorted(reply.body["spec"]["tags"]) == ["y", "z"]


def test_atomic_lists_are_owned_as_a_whole(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "steps": [1, 2]}), "me")
    assert apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "steps": [3]}), "other").status == 409
    forced = apply(api, f"{widgets}/a", widget("a", {"replicas": 1, "steps": [3]}), "other", force=True)
    assert forced.body["spec"]["steps"] == [3]


@pytest.mark.parametrize("kept", ["app=x", "release=x"])
def test_labels_are_owned_one_by_one(api: Api, ns: str, kept: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps/c"
    key, value = kept.split("=")
    apply(api, path, config_map("c", {"a": "1"}, labels={"mine": "1"}), "me")
    apply(api, path, config_map("c", {"b": "2"}, labels={key: value}), "other")
    reply = apply(api, path, config_map("c"), "me")
    assert (reply.body["data"], reply.body["metadata"]["labels"]) == ({"b": "2"}, {key: value})


def test_containers_of_built_in_kinds_are_owned_by_name(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/d"
    created = apply(api, path, deployment("d"), "me")
    assert created.status == 201
    containers = owned(created.body, "me")["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert containers == {'k:{"name":"app"}': {
        ".": {}, "f:image": {}, "f:name": {},
        "f:ports": {'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
    }}  # fmt: skip
    image = {"name": "app", "image": "registry.example/app:2"}
    only = deployment("d")
    only["spec"] = {**only["spec"], "template": {"spec": {"containers": [image]}}}
    reply = apply(api, path, only, "other")
    assert reply.status == 409
    assert '.spec.template.spec.containers[name="app"].image' in reply.body["message"]


def test_a_dropped_container_goes_with_its_defaults(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/d"
    two = deployment("d", template=pod_template(app="d"))
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "registry.example/s:1"})
    apply(api, path, two, "me")
    reply = apply(api, path, deployment("d"), "me")
    assert [one["name"] for one in reply.body["spec"]["template"]["spec"]["containers"]] == ["app"]


def test_quantities_are_compared_by_value(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/d"
    body = deployment("d")
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "0.5", "memory": "1024Mi"}}
    first = apply(api, path, body, "me").body
    limits = first["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "500m", "memory": "1Gi"}
    again = apply(api, path, body, "me").body
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_dry_runs_of_apply_store_nothing(api: Api, widgets: str) -> None:
    assert apply(api, f"{widgets}/a", widget("a"), "me&dryRun=All").status == 201
    assert api.get(f"{widgets}/a").status == 404


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore"])
def test_unknown_fields_cannot_be_applied(api: Api, widgets: str, validation: str) -> None:
    body = widget("a", {"replicas": 1, "junk": 1})
    reply = apply(api, f"{widgets}/a", body, f"me&fieldValidation={validation}")
    assert reply.status == 500
    assert reply.body["message"] == (
        "failed to create typed patch object (/a; lab.coalmine.dev/v1, Kind=Widget): "
        ".spec.junk: field not declared in schema"
    )


def test_managed_fields_can_be_cleared(api: Api, widgets: str) -> None:
    apply(api, f"{widgets}/a", widget("a"), "me")
    cleared = api.patch(f"{widgets}/a?fieldManager=x", {"metadata": {"managedFields": [{}]}})
    assert cleared.status == 200
    assert "managedFields" not in cleared.body["metadata"]
