"""The EndpointSlice controller of the sandbox: ready pods that a Service selects."""

from typing import Any

from rollout.errors import NotFound
from rollout.kube.cache import Cache, Key
from rollout.kube.client import KubeClient
from rollout.kube.resources import Resource

ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
Json = dict[str, Any]


class EndpointSlices:
    """One turn a Service."""

    def __init__(self, client: KubeClient, services: Cache, pods: Cache) -> None:
        self._client, self._services, self._pods = client, services, pods
        self._written: dict[Key, Json] = {}

    async def reconcile(self, key: Key) -> None:
        """Bring the slice of a Service in line with its ready pods."""
        service = self._services.get(key)
        selector = (service or {}).get("spec", {}).get("selector")
        if service is None or not selector:
            self._written.pop(key, None)
            return
        pods = [pod for pod in self._pods.all(key[0]) if _selected(pod, selector)]
        wanted = _slice(service, pods)
        if self._written.get(key) == wanted:
            return
        try:
            await self._client.apply(ENDPOINT_SLICES, wanted, manager="sandbox-endpoints", force=True)
        except NotFound:
            return
        self._written[key] = wanted


def _selected(pod: Json, selector: dict[str, str]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    has_address = bool((pod.get("status") or {}).get("podIP"))
    return has_address and all(labels.get(key) == value for key, value in selector.items())


def _slice(service: Json, pods: list[Json]) -> Json:
    metadata = service["metadata"]
    return {
        "apiVersion": ENDPOINT_SLICES.api_version,
        "kind": ENDPOINT_SLICES.kind,
        "metadata": {
            "name": f"{metadata['name']}-sandbox",
            "namespace": metadata["namespace"],
            "labels": {"kubernetes.io/service-name": metadata["name"]},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                }
            ],
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(pod) for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))],
        "ports": [_port(port, pods) for port in service["spec"].get("ports") or []],
    }


def _endpoint(pod: Json) -> Json:
    going = "deletionTimestamp" in pod["metadata"]
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not going, "serving": ready, "terminating": going},
        "targetRef": {
            "kind": "Pod",
            "name": pod["metadata"]["name"],
            "namespace": pod["metadata"]["namespace"],
            "uid": pod["metadata"]["uid"],
        },
    }


def _port(port: Json, pods: list[Json]) -> Json:
    """The target port; a name is looked up in the pods."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, str):
        named = [
            p["containerPort"]
            for pod in pods
            for container in pod["spec"]["containers"]
            for p in container.get("ports") or []
            if p.get("name") == target
        ]
        target = named[0] if named else port["port"]
    slice_port: Json = {"port": target, "protocol": port.get("protocol", "TCP")}
    return slice_port | ({"name": port["name"]} if port.get("name") else {"name": ""})
