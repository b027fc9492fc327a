"""Defaults, rules and life cycles of the built-in kinds."""

from typing import Any

import pytest

from tests.conformance.api.samples import config_map, deployment, pod_template
from tests.conformance.client import Api


def pod(name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "registry.example/app:1"}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec},
    }  # fmt: skip


def service(name: str, **spec: Any) -> dict[str, Any]:
    full = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": full}


def test_deployments_get_their_defaults(api: Api, ns: str) -> None:
    spec = api.post(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("d")).body["spec"]
    template = spec.pop("template")
    assert spec == {
        "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": {"app": "d"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    }  # fmt: skip
    [container] = template["spec"].pop("containers")
    assert template == {"metadata": {"labels": {"app": "d"}}, "spec": {
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
        "securityContext": {}, "terminationGracePeriodSeconds": 30,
    }}  # fmt: skip
    assert container == {
        "name": "app", "image": "registry.example/app:1", "imagePullPolicy": "IfNotPresent", "resources": {},
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    }  # fmt: skip


def test_probes_and_volumes_get_their_defaults(api: Api, ns: str) -> None:
    template = pod_template(app="r")
    spec = template["spec"]
    spec["containers"][0]["readinessProbe"] = {"httpGet": {"port": 8080}}
    spec["containers"][0]["env"] = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    spec["volumes"] = [{"name": "c", "configMap": {"name": "c"}}, {"name": "e"}]
    body = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r"},
        "spec": {"selector": {"matchLabels": {"app": "r"}}, "template": template},
    }  # fmt: skip
    reply = api.post(f"/apis/apps/v1/namespaces/{ns}/replicasets", body)
    assert (reply.status, reply.body["status"]) == (201, {"replicas": 0})
    stored = reply.body["spec"]["template"]["spec"]
    assert stored["containers"][0]["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 8080, "scheme": "HTTP"},
        "failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1,
    }  # fmt: skip
    assert stored["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert stored["volumes"][0]["configMap"]["defaultMode"] == 420
    assert stored["volumes"][1] == {"name": "e", "emptyDir": {}}


def test_the_latest_image_is_always_pulled(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    for name, image, policy in (
        ("a", "registry.example:5000/app", "Always"), ("b", "app:latest", "Always"), ("c", "app:1", "IfNotPresent"),
    ):  # fmt: skip
        template = pod_template(image, app=name)
        stored = api.post(path, deployment(name, template=template)).body["spec"]["template"]["spec"]
        assert stored["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(("change", "field"), [
    ({"selector": {"matchLabels": {"app": "other"}}}, "spec.template.metadata.labels"),
    ({"template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": []}}}, "spec.template.spec.containers"),
    ({"replicas": -1}, "spec.replicas"),
])  # fmt: skip
def test_impossible_deployments_are_refused(api: Api, ns: str, change: dict[str, Any], field: str) -> None:
    reply = api.post(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("d", **change))
    assert (reply.status, reply.body["reason"]) == (422, "Invalid")
    assert reply.body["message"].startswith('Deployment.apps "d" is invalid: ')
    assert field in [one["field"] for one in reply.body["details"]["causes"]]


def test_selectors_of_workloads_never_change(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    template = {"metadata": {"labels": {"app": "d", "x": "y"}}, "spec": pod_template()["spec"]}
    api.post(path, deployment("d", template=template))
    reply = api.patch(f"{path}/d", {"spec": {"selector": {"matchLabels": {"x": "y"}}}})
    assert reply.status == 422
    assert "field is immutable" in reply.body["message"]


def test_wrong_types_in_built_in_kinds_are_bad_requests(api: Api, ns: str) -> None:
    reply = api.post(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("d", replicas="many"))
    assert (reply.status, reply.body["reason"]) == (400, "BadRequest")
    assert 'Deployment in version "v1" cannot be handled as a Deployment' in reply.body["message"]


def test_unknown_fields_of_built_in_kinds_are_refused_under_strict(api: Api, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    reply = api.post(f"{path}?fieldValidation=Strict", deployment("d", junk=1))
    assert (reply.status, reply.body["reason"]) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.junk"' in reply.body["message"]


def test_services_get_an_address_that_never_changes(api: Api, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/services"
    created = api.post(path, service("s")).body
    spec = created["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert created["status"] == {"loadBalancer": {}}
    moved = api.patch(f"{path}/s", {"spec": {"clusterIP": "None", "clusterIPs": ["None"]}})
    assert moved.status == 422
    assert "may not change once set" in moved.body["message"]
    again = api.put(f"{path}/s", service("s", selector={"app": "other"}))
    assert (again.status, again.body["spec"]["clusterIP"]) == (200, spec["clusterIP"])


def test_services_can_be_headless(api: Api, ns: str) -> None:
    spec = api.post(f"/api/v1/namespaces/{ns}/services", service("s", clusterIP="None")).body["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"]) == ("None", ["None"])


def test_secrets_encode_their_text(api: Api, ns: str) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    stored = api.post(f"/api/v1/namespaces/{ns}/secrets", body).body
    assert (stored["type"], stored["data"]) == ("Opaque", {"a": "Yg=="})
    assert "stringData" not in stored


def test_config_maps_can_be_frozen(api: Api, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    api.post(path, {**config_map("c", {"a": "1"}), "immutable": True})
    assert api.patch(f"{path}/c", {"data": {"a": "2"}}).status == 422


def test_pods_begin_pending(api: Api, ns: str) -> None:
    created = api.post(f"/api/v1/namespaces/{ns}/pods", pod("p")).body
    assert (created["status"]["phase"], created["status"]["qosClass"]) == ("Pending", "BestEffort")
    assert (created["spec"]["enableServiceLinks"], created["spec"]["priority"]) == (True, 0)


def test_specs_of_pods_hardly_change(api: Api, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    api.post(path, pod("p"))
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "registry.example/app:2"}]
    assert api.patch(f"{path}/p", image, "application/json-patch+json").status == 200
    reply = api.patch(f"{path}/p", {"spec": {"nodeName": "n"}})
    assert reply.status == 422
    assert "pod updates may not change fields other than" in reply.body["message"]


def test_pods_without_a_node_go_at_once(api: Api, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    api.post(path, pod("p"))
    assert api.delete(f"{path}/p").status == 200
    assert api.get(f"{path}/p").status == 404


def test_pods_on_a_node_wait_for_their_kubelet(api: Api, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    api.post(path, pod("p", nodeName="node-1"))
    reply = api.delete(f"{path}/p", {"gracePeriodSeconds": 20})
    assert (reply.status, reply.body["kind"]) == (200, "Pod")
    metadata = api.get(f"{path}/p").body["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == 20
    assert metadata["deletionTimestamp"] > metadata["creationTimestamp"]
    assert api.delete(f"{path}/p", {"gracePeriodSeconds": 0}).status == 200
    assert api.get(f"{path}/p").status == 404


def test_pods_are_bound_to_nodes(api: Api, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    api.post(path, pod("p"))
    target = {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": target}
    assert api.post(f"{path}/p/binding", body).status == 201
    found = api.get(f"{path}/p").body
    assert found["spec"]["nodeName"] == "node-1"
    assert {"PodScheduled"} == {one["type"] for one in found["status"]["conditions"]}
    listed = api.get(f"{path}?fieldSelector=spec.nodeName%3Dnode-1").body["items"]
    assert [one["metadata"]["name"] for one in listed] == ["p"]


def test_evictions_delete_pods_unless_a_budget_forbids(api: Api, ns: str) -> None:
    path, budgets = f"/api/v1/namespaces/{ns}/pods", f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"
    guarded = pod("p", nodeName="node-1")
    guarded["metadata"]["labels"] = {"app": "p"}
    api.post(path, guarded)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.patch(f"{path}/p/status", {"status": ready})
    budget = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}},
    }  # fmt: skip
    assert api.post(budgets, budget).status == 201
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": ns}}
    assert api.post(f"{path}/p/eviction", eviction).status == 429
    api.delete(f"{budgets}/b")
    gone = api.post(f"{path}/p/eviction", eviction)
    assert gone.status == 201
    assert api.get(f"{path}/p").body["metadata"]["deletionTimestamp"]


def test_zeros_and_empty_lists_are_not_kept_by_typed_kinds(api: Api, ns: str) -> None:
    body = deployment("d", paused=False, minReadySeconds=0)
    body["spec"]["template"]["spec"]["tolerations"] = []
    spec = api.post(f"/apis/apps/v1/namespaces/{ns}/deployments", body).body["spec"]
    assert not {"paused", "minReadySeconds"} & set(spec)
    assert "tolerations" not in spec["template"]["spec"]


def test_namespaces_carry_their_name_as_label(api: Api, ns: str) -> None:
    body = api.get(f"/api/v1/namespaces/{ns}").body
    assert body["metadata"]["labels"]["kubernetes.io/metadata.name"] == ns
    assert (body["spec"]["finalizers"], body["status"]["phase"]) == (["kubernetes"], "Active")


# The Gateway API is no part of kube-apiserver.
@pytest.mark.parametrize("flavour", ["embedded"], indirect=True)
def test_http_routes_are_only_replaced_by_whole_rules(api: Api, ns: str) -> None:
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{ns}/httproutes"
    refs = [{"name": "a", "port": 80, "weight": 80}, {"name": "b", "port": 80, "weight": 20}]
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"},
        "spec": {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": refs}]},
    }  # fmt: skip
    spec = api.post(path, body).body["spec"]
    assert spec["rules"][0]["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert spec["parentRefs"] == [{"name": "g", "group": "gateway.networking.k8s.io", "kind": "Gateway"}]
    assert spec["rules"][0]["backendRefs"][0]["kind"] == "Service"
    older = api.get(f"/apis/gateway.networking.k8s.io/v1beta1/namespaces/{ns}/httproutes/r").body
    assert older["apiVersion"] == "gateway.networking.k8s.io/v1beta1"
