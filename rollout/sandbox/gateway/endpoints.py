"""The addresses behind a backend: ready endpoints of the Service's EndpointSlices, nothing else."""

from rollout.kube.cache import Cache
from rollout.sandbox.gateway.model import Backend, Json
from rollout.sandbox.gateway.xds import Address

SERVICE_NAME = "kubernetes.io/service-name"


def addresses(backend: Backend, services: Cache, slices: Cache) -> list[Address]:
    """Address and target port of each ready endpoint, in order."""
    service = services.get((backend.namespace, backend.service))
    port_name = next(
        (p.get("name") or "" for p in (service or {}).get("spec", {}).get("ports") or [] if p["port"] == backend.port),
        None,
    )
    if port_name is None:
        return []
    mine = [s for s in slices.all(backend.namespace) if _service_of(s) == backend.service]
    return sorted({address for one in mine for address in _of_slice(one, port_name)})


def _service_of(endpoint_slice: Json) -> str | None:
    labels = endpoint_slice["metadata"].get("labels") or {}
    name: str | None = labels.get(SERVICE_NAME)
    return name


def _of_slice(endpoint_slice: Json, port_name: str) -> list[Address]:
    ports = [p["port"] for p in endpoint_slice.get("ports") or [] if (p.get("name") or "") == port_name]
    return [
        (address, int(port))
        for endpoint in endpoint_slice.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready")
        for address in endpoint["addresses"]
        for port in ports
    ]
