"""Creating, reading, listing, updating and deleting."""

import json

from tests.conformance.api.samples import config_map, names, widget
from tests.conformance.client import JSON_PATCH, Api


def test_creation_fills_the_metadata(api: Api, widgets: str, ns: str) -> None:
    reply = api.post(widgets, {**widget("a"), "status": {"phase": "Forged"}})
    metadata = reply.body["metadata"]
    assert reply.status == 201
    assert metadata["uid"]
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["generation"] == 1
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["namespace"] == ns
    assert "selfLink" not in metadata
    assert "status" not in reply.body


def test_a_name_is_taken_once(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    reply = api.post(widgets, widget("a"))
    assert (reply.status, reply.body["reason"]) == (409, "AlreadyExists")
    assert reply.body["message"] == 'widgets.lab.coalmine.dev "a" already exists'


def test_names_are_generated(api: Api, widgets: str) -> None:
    body = {**widget(""), "metadata": {"generateName": "gen-"}}
    reply = api.post(widgets, body)
    assert reply.status == 201
    assert reply.body["metadata"]["name"].startswith("gen-")
    assert len(reply.body["metadata"]["name"]) == len("gen-") + 5


def test_a_missing_namespace_is_404(api: Api) -> None:
    reply = api.post("/api/v1/namespaces/nowhere/configmaps", config_map("a"))
    assert (reply.status, reply.body["message"]) == (404, 'namespaces "nowhere" not found')


def test_a_namespace_that_differs_from_the_url_is_400(api: Api, ns: str) -> None:
    reply = api.post(f"/api/v1/namespaces/{ns}/configmaps", config_map("a", namespace="default"))
    assert (reply.status, reply.body["reason"]) == (400, "BadRequest")


def test_names_and_labels_have_a_syntax(api: Api, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    bad_name, bad_label = api.post(path, config_map("A_b")), api.post(path, config_map("a", labels={"x": "-"}))
    assert (bad_name.status, bad_label.status) == (422, 422)
    assert [one["field"] for one in bad_name.body["details"]["causes"]] == ["metadata.name"]
    assert [one["field"] for one in bad_label.body["details"]["causes"]] == ["metadata.labels"]


def test_annotations_are_bounded(api: Api, ns: str) -> None:
    large = config_map("a", annotations={"a": "x" * 262_145})
    assert api.post(f"/api/v1/namespaces/{ns}/configmaps", large).status == 422


def test_bodies_are_bounded(api: Api, ns: str) -> None:
    reply = api.post(f"/api/v1/namespaces/{ns}/configmaps", config_map("a", {"x": "y" * 3_500_000}))
    assert (reply.status, reply.body["reason"]) == (413, "RequestEntityTooLarge")


def test_dry_runs_store_nothing(api: Api, widgets: str) -> None:
    reply = api.post(f"{widgets}?dryRun=All", widget("dry"))
    assert reply.status == 201
    assert reply.body["metadata"]["uid"]
    assert api.get(f"{widgets}/dry").status == 404


def test_what_is_missing_is_a_status(api: Api, widgets: str) -> None:
    body = api.get(f"{widgets}/nope").body
    assert (body["kind"], body["code"], body["reason"]) == ("Status", 404, "NotFound")
    assert body["message"] == 'widgets.lab.coalmine.dev "nope" not found'
    assert body["details"] == {"name": "nope", "group": "lab.coalmine.dev", "kind": "widgets"}


def test_lists_have_a_kind_and_a_revision(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    body = api.get(widgets).body
    assert (body["kind"], body["apiVersion"]) == ("WidgetList", "lab.coalmine.dev/v1")
    assert int(body["metadata"]["resourceVersion"]) > 0
    assert "a" in names(api.get("/apis/lab.coalmine.dev/v1/widgets").body)


def test_label_selectors_select(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a", labels={"app": "a", "tier": "web"}))
    api.post(widgets, widget("b", labels={"app": "b"}))
    for selector, expected in {
        "app=a": ["a"], "app==a": ["a"], "app!=a": ["b"], "app in (a,b)": ["a", "b"], "app notin (a)": ["b"],
        "tier": ["a"], "!tier": ["b"], "app=a,tier=web": ["a"], "app=a,tier!=web": [],
    }.items():  # fmt: skip
        query = selector.replace(" ", "%20").replace("!", "%21").replace("=", "%3D")
        assert names(api.get(f"{widgets}?labelSelector={query}").body) == expected, selector


def test_field_selectors_select(api: Api, widgets: str, ns: str) -> None:
    for name in ("a", "b"):
        api.post(widgets, widget(name))
    assert names(api.get(f"{widgets}?fieldSelector=metadata.name%3Db").body) == ["b"]
    assert names(api.get(f"{widgets}?fieldSelector=metadata.name%21%3Db").body) == ["a"]
    everywhere = "/apis/lab.coalmine.dev/v1/widgets"
    assert names(api.get(f"{everywhere}?fieldSelector=metadata.namespace%3D{ns}").body) == ["a", "b"]
    assert api.get(f"{widgets}?fieldSelector=spec.replicas%3D3").status == 400


def test_lists_come_in_pages(api: Api, widgets: str) -> None:
    for name in ("a", "b", "c"):
        api.post(widgets, widget(name))
    first = api.get(f"{widgets}?limit=2").body
    rest = api.get(f"{widgets}?limit=2&continue={first['metadata']['continue']}").body
    assert (names(first), names(rest)) == (["a", "b"], ["c"])
    assert first["metadata"]["remainingItemCount"] == 1
    assert not rest["metadata"].get("continue")
    assert first["metadata"]["resourceVersion"] == rest["metadata"]["resourceVersion"]


def test_tables_have_the_printer_columns(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    body = api.get(widgets, Accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json").body
    assert body["kind"] == "Table"
    assert [one["name"] for one in body["columnDefinitions"]] == ["Name", "Replicas", "Ready", "Mode", "Age"]
    [row] = body["rows"]
    assert row["cells"][:4] == ["a", 3, None, "Slow"]
    assert row["object"]["kind"] == "PartialObjectMetadata"


def test_metadata_can_be_had_alone(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    body = api.get(widgets, Accept=accept).body
    assert body["kind"] == "PartialObjectMetadataList"
    assert [sorted(item) for item in body["items"]] == [["apiVersion", "kind", "metadata"]] or [
        sorted(item) for item in body["items"]
    ] == [["metadata"]]
    one = api.get(f"{widgets}/a", Accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").body
    assert one["kind"] == "PartialObjectMetadata"
    assert "spec" not in one


def test_updates_are_guarded_by_the_resource_version(api: Api, widgets: str) -> None:
    created = api.post(widgets, widget("a")).body
    updated = api.put(f"{widgets}/a", {**created, "spec": {"replicas": 5}})
    assert (updated.status, updated.body["spec"]) == (200, {"replicas": 5, "mode": "Slow"})
    assert updated.body["metadata"]["generation"] == 2
    stale = api.put(f"{widgets}/a", {**created, "spec": {"replicas": 6}})
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    assert "the object has been modified" in stale.body["message"]
    unversioned = json.loads(json.dumps(created))
    del unversioned["metadata"]["resourceVersion"]
    assert api.put(f"{widgets}/a", unversioned).status == 422


def test_the_generation_counts_changes_of_the_spec_only(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    labelled = api.patch(f"{widgets}/a", {"metadata": {"labels": {"x": "y"}}}).body
    assert labelled["metadata"]["generation"] == 1
    reported = api.patch(f"{widgets}/a/status", {"status": {"phase": "Ok"}}).body
    assert reported["metadata"]["generation"] == 1
    assert api.patch(f"{widgets}/a", {"spec": {"replicas": 4}}).body["metadata"]["generation"] == 2


def test_writes_that_change_nothing_keep_the_resource_version(api: Api, widgets: str) -> None:
    before = api.post(widgets, widget("a")).body["metadata"]["resourceVersion"]
    assert api.patch(f"{widgets}/a", {"spec": {"replicas": 3}}).body["metadata"]["resourceVersion"] == before
    assert api.put(f"{widgets}/a", api.get(f"{widgets}/a").body).body["metadata"]["resourceVersion"] == before


def test_status_and_spec_are_written_apart(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    reported = api.patch(f"{widgets}/a/status", {"status": {"phase": "Ok"}, "spec": {"replicas": 99}}).body
    assert (reported["status"], reported["spec"]["replicas"]) == ({"phase": "Ok"}, 3)
    forged = api.patch(f"{widgets}/a", {"status": {"phase": "Forged"}}).body
    assert forged["status"] == {"phase": "Ok"}


def test_finalizers_hold_what_is_deleted(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a", finalizers=["lab.coalmine.dev/hold"]))
    assert api.delete(f"{widgets}/a").status == 200
    metadata = api.get(f"{widgets}/a").body["metadata"]
    assert metadata["deletionTimestamp"]
    assert metadata["deletionGracePeriodSeconds"] == 0
    assert metadata["generation"] == 2
    more = api.patch(f"{widgets}/a", {"metadata": {"finalizers": ["lab.coalmine.dev/hold", "lab.coalmine.dev/x"]}})
    assert more.status == 422
    released = api.patch(f"{widgets}/a", [{"op": "remove", "path": "/metadata/finalizers/0"}], JSON_PATCH)
    assert released.status == 200
    assert api.get(f"{widgets}/a").status == 404


def test_deletions_answer_with_a_status(api: Api, widgets: str) -> None:
    uid = api.post(widgets, widget("a")).body["metadata"]["uid"]
    body = api.delete(f"{widgets}/a").body
    assert (body["kind"], body["status"]) == ("Status", "Success")
    assert body["details"] == {"name": "a", "group": "lab.coalmine.dev", "kind": "widgets", "uid": uid}


def test_preconditions_guard_deletions(api: Api, widgets: str) -> None:
    created = api.post(widgets, widget("a")).body["metadata"]
    assert api.delete(f"{widgets}/a", {"preconditions": {"uid": "wrong"}}).status == 409
    assert api.delete(f"{widgets}/a", {"preconditions": {"resourceVersion": "1"}}).status == 409
    assert api.delete(f"{widgets}/a", {"preconditions": {"uid": created["uid"]}}).status == 200


def test_collections_are_deleted_by_selector(api: Api, widgets: str) -> None:
    for name in ("a", "b"):
        api.post(widgets, widget(name, labels={"app": name}))
    assert api.delete(f"{widgets}?labelSelector=app%3Db").status == 200
    assert names(api.get(widgets).body) == ["a"]


def test_leases_are_taken_by_compare_and_swap(api: Api, ns: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
    created = api.post(path, {**lease, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}}).body
    first = api.put(f"{path}/l", {**created, "spec": {"holderIdentity": "a"}})
    second = api.put(f"{path}/l", {**created, "spec": {"holderIdentity": "b"}})
    assert (first.status, second.status) == (200, 409)


def test_events_are_recorded(api: Api, ns: str) -> None:
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "e-"}, "reason": "R", "message": "m",
        "involvedObject": {"kind": "Widget", "name": "a", "namespace": ns}, "type": "Normal",
    }  # fmt: skip
    path = f"/api/v1/namespaces/{ns}/events"
    assert api.post(path, event).status == 201
    found = api.get(f"{path}?fieldSelector=involvedObject.name%3Da,involvedObject.kind%3DWidget").body
    assert [one["reason"] for one in found["items"]] == ["R"]
    newer = api.get(f"/apis/events.k8s.io/v1/namespaces/{ns}/events").body["items"]
    assert [(one["note"], one["regarding"]["name"]) for one in newer] == [("m", "a")]


def test_access_reviews_are_answered(api: Api) -> None:
    attributes = {"verb": "get", "resource": "pods", "namespace": "default"}
    group = "/apis/authorization.k8s.io/v1"
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    reply = api.post(f"{group}/selfsubjectaccessreviews", {**body, "spec": {"resourceAttributes": attributes}})
    assert (reply.status, reply.body["status"]["allowed"]) == (201, True)
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": api.token}}
    user = api.post("/apis/authentication.k8s.io/v1/tokenreviews", token).body["status"]
    assert (user["authenticated"], user["user"]["username"]) == (True, "admin")
    unknown = {**token, "spec": {"token": "wrong"}}
    refused = api.post("/apis/authentication.k8s.io/v1/tokenreviews", unknown).body["status"]
    assert not refused.get("authenticated")
