"""Services: defaults, addresses and what may not change.

Cluster addresses come from 127.240.0.0/16, so that nothing outside of this machine is ever named.
"""

import json
from collections.abc import Iterator
from typing import Any

from rollout.sandbox.apiserver.errors import Cause, StatusError
from rollout.sandbox.apiserver.schema.validate import cause, invalid_value, required

Object = dict[str, Any]
SERVICE_NETWORK = "127.240"
NODE_PORTS = range(30000, 32768)
_WITH_NODE_PORT = frozenset({"NodePort", "LoadBalancer"})


def default_service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if "port" in port:
            port.setdefault("targetPort", port["port"])
    kind = spec.setdefault("type", "ClusterIP")
    if kind == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind in _WITH_NODE_PORT:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec.get("sessionAffinity") == "ClientIP":
        affinity = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        affinity.setdefault("timeoutSeconds", 10800)


def admit_service(obj: Object, old: Object | None, existing: list[Object]) -> None:
    """Give the service its addresses and node ports, or keep those it has. In place.

    Args:
        obj: the service after defaulting.
        old: the stored service, None on create.
        existing: all services.
    """
    spec = obj["spec"]
    obj.setdefault("status", {}).setdefault("loadBalancer", {})
    if spec["type"] == "ExternalName":
        return
    before = (old or {}).get("spec") or {}
    if not spec.get("clusterIP"):
        listed = spec.get("clusterIPs") or before.get("clusterIPs")
        spec["clusterIP"] = listed[0] if listed else _free_address(existing)
    spec["clusterIPs"] = spec.get("clusterIPs") or [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in _WITH_NODE_PORT:
        _node_ports(spec, before, existing)


def _free_address(existing: list[Object]) -> str:
    taken = {service["spec"].get("clusterIP") for service in existing}
    # .0.1 is left out: in clusters it is the API server's own service.
    for number in range(2, 256 * 256 - 1):
        address = f"{SERVICE_NETWORK}.{number // 256}.{number % 256}"
        if address not in taken:
            return address
    raise StatusError(500, "InternalError", "range of cluster addresses is full")


def _node_ports(spec: Object, before: Object, existing: list[Object]) -> None:
    taken = {port.get("nodePort") for one in existing for port in one["spec"].get("ports") or ()}
    kept = {(port["port"], port["protocol"]): port.get("nodePort") for port in before.get("ports") or ()}
    free = (number for number in NODE_PORTS if number not in taken)
    for port in spec.get("ports") or ():
        if not port.get("nodePort"):
            port["nodePort"] = kept.get((port["port"], port["protocol"])) or next(free)


def service_causes(obj: Object, old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield required("spec.ports")
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield required(f"spec.ports[{index}].name")
        yield from _target_causes(port.get("targetPort"), f"spec.ports[{index}].targetPort")
    before = ((old or {}).get("spec") or {}).get("clusterIP")
    kept = spec.get("type") == "ExternalName" or spec.get("clusterIP") == before
    if before and not kept:
        shown = json.dumps(spec.get("clusterIPs"), separators=(",", ":"))
        words = f"Invalid value: {shown}: may not change once set"
        yield cause("FieldValueInvalid", "spec.clusterIPs[0]", words)


def _target_causes(target: int | str | None, path: str) -> Iterator[Cause]:
    if isinstance(target, int) and not 0 < target < 65536:
        yield invalid_value(path, target, "must be between 1 and 65535, inclusive")
    if isinstance(target, str) and not 0 < len(target) <= 15:
        yield invalid_value(path, target, "must be no more than 15 characters")
