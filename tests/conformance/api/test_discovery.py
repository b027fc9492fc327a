"""Discovery, health and OpenAPI."""

import pytest

from tests.conformance.client import Api

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
GROUP = "/apis/lab.coalmine.dev/v1"


@pytest.mark.parametrize("path", [
    "/version", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/apis/lab.coalmine.dev", GROUP,
    "/openapi/v3", "/openapi/v2", "/healthz", "/livez", "/readyz",
])  # fmt: skip
def test_well_known_paths_are_served(api: Api, path: str) -> None:
    assert api.get(path).status == 200


def test_without_a_token_only_health_and_version_are_served(api: Api) -> None:
    stranger = Api(api.url, None, api.ca_pem)
    assert stranger.get("/healthz").status == 200
    assert stranger.get("/version").status == 200
    assert stranger.get("/api/v1/namespaces/default/pods").status in {401, 403}


def test_an_unknown_token_is_refused(api: Api) -> None:
    reply = Api(api.url, "wrong", api.ca_pem).get("/api/v1/pods")
    assert (reply.status, reply.body["reason"], reply.body["kind"]) == (401, "Unauthorized", "Status")


def test_aggregated_discovery_lists_kinds_with_their_subresources(api: Api) -> None:
    body = api.get("/apis", Accept=AGGREGATED).body
    assert body["kind"] == "APIGroupDiscoveryList"
    [group] = [one for one in body["items"] if one["metadata"]["name"] == "lab.coalmine.dev"]
    [resource] = group["versions"][0]["resources"]
    assert resource["resource"] == "widgets"
    assert resource["shortNames"] == ["wd"]
    assert resource["scope"] == "Namespaced"
    assert {one["subresource"] for one in resource["subresources"]} == {"scale", "status"}


def test_plain_discovery_lists_the_same(api: Api) -> None:
    resources = {one["name"]: one for one in api.get(GROUP).body["resources"]}
    assert set(resources) == {"widgets", "widgets/status", "widgets/scale"}
    assert resources["widgets/scale"]["kind"] == "Scale"
    assert "watch" in resources["widgets"]["verbs"]


def test_openapi_describes_custom_kinds(api: Api) -> None:
    path = api.eventually("/openapi/v3", lambda reply: "apis/lab.coalmine.dev/v1" in reply.body["paths"])
    url = path.body["paths"]["apis/lab.coalmine.dev/v1"]["serverRelativeURL"]
    document = api.get(url).body
    schema = document["components"]["schemas"]["dev.coalmine.lab.v1.Widget"]
    gvk = {"group": "lab.coalmine.dev", "version": "v1", "kind": "Widget"}
    assert schema["x-kubernetes-group-version-kind"] == [gvk]
    assert schema["properties"]["spec"]["properties"]["replicas"]["description"] == "How many."


def test_openapi_tells_the_keys_of_lists(api: Api) -> None:
    url = api.get("/openapi/v3").body["paths"]["apis/apps/v1"]["serverRelativeURL"]
    spec = api.get(url).body["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert spec["containers"]["x-kubernetes-list-map-keys"] == ["name"]
    assert spec["containers"]["x-kubernetes-list-type"] == "map"
    assert spec["tolerations"]["x-kubernetes-list-type"] == "atomic"


def test_paths_that_do_not_exist_are_404_with_a_status(api: Api) -> None:
    for path in ("/apis/nothing.example/v1", "/api/v1/namespaces/default/nothings"):
        assert api.get(path).status == 404
