"""The columns of the built-in kinds in `kubectl get`."""

from collections.abc import Mapping, Sequence
from typing import Any

from rollout.sandbox.apiserver.kinds import GroupResource
from rollout.sandbox.apiserver.selectors import format_selector
from rollout.sandbox.apiserver.table import AGE, Column, age

Object = dict[str, Any]
NONE = "<none>"


def _at(obj: Any, path: str, default: Any = None) -> Any:
    for key in path.split("."):
        obj = obj.get(key) if isinstance(obj, dict) else None
    return default if obj is None else obj


def _value(name: str, path: str, default: Any = "", *, kind: str = "string", wide: bool = False) -> Column:
    return Column(name, lambda obj: _at(obj, path, default), kind, int(wide))


def _count(name: str, path: str, default: int = 0) -> Column:
    return _value(name, path, default, kind="integer")


def _ratio(ready: str, wanted: str) -> Column:
    return Column("Ready", lambda obj: f"{_at(obj, ready, 0)}/{_at(obj, wanted, 0)}")


def _statuses(pod: Object) -> list[Object]:
    return _at(pod, "status.containerStatuses", [])  # type: ignore[no-any-return]  # JSON


def _pod_ready(pod: Object) -> str:
    ready = sum(1 for status in _statuses(pod) if status.get("ready"))
    return f"{ready}/{len(_at(pod, 'spec.containers', []))}"


def _pod_status(pod: Object) -> str:
    reason = _at(pod, "status.reason") or _at(pod, "status.phase", "Unknown")
    for status in reversed(_statuses(pod)):
        state = status.get("state") or {}
        if waiting := _at(state, "waiting.reason"):
            reason = waiting
        elif "terminated" in state:
            ended = state["terminated"]
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(reason)


def _pod_restarts(pod: Object) -> str:
    count = sum(status.get("restartCount", 0) for status in _statuses(pod))
    ends = [_at(status, "lastState.terminated.finishedAt") for status in _statuses(pod)]
    last = max((end for end in ends if end), default=None)
    return f"{count} ({age(last)} ago)" if count and last else str(count)


def _gates(pod: Object) -> str:
    gates = _at(pod, "spec.readinessGates", [])
    true = {one["type"] for one in _at(pod, "status.conditions", []) if one.get("status") == "True"}
    return f"{sum(gate['conditionType'] in true for gate in gates)}/{len(gates)}" if gates else NONE


def _ports(service: Object) -> str:
    parts = []
    for port in _at(service, "spec.ports", []):
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port.get('port')}{node}/{port.get('protocol')}")
    return ",".join(parts) or NONE


def _external(service: Object) -> str:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    ingress = _at(service, "status.loadBalancer.ingress", [])
    addresses = [*(one.get("ip") or one.get("hostname") for one in ingress), *spec.get("externalIPs", ())]
    pending = "<pending>" if spec.get("type") == "LoadBalancer" else NONE
    return ",".join(addresses) or pending


def _labels(path: str) -> Column:
    def cell(obj: Object) -> str:
        return ",".join(f"{key}={value}" for key, value in sorted(_at(obj, path, {}).items())) or NONE

    return Column("Selector", cell, priority=1)


_SELECTOR = Column("Selector", lambda obj: format_selector(_at(obj, "spec.selector")) or NONE, priority=1)


def _template(name: str, field: str) -> Column:
    def cell(obj: Object) -> str:
        return ",".join(str(one.get(field)) for one in _at(obj, "spec.template.spec.containers", [])) or NONE

    return Column(name, cell, priority=1)


_TEMPLATE = (_template("Containers", "name"), _template("Images", "image"), _SELECTOR)


def _listed(items: Sequence[Any], limit: int = 3) -> str:
    shown = ",".join(str(item) for item in items[:limit])
    more = f" + {len(items) - limit} more..." if len(items) > limit else ""
    return f"{shown}{more}" or NONE


def _slice_addresses(obj: Object) -> str:
    return _listed([one for endpoint in obj.get("endpoints") or () for one in endpoint.get("addresses") or ()])


def _endpoints(obj: Object) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ({"port": ""},)
    ]
    return _listed(found)


def _event_object(obj: Object) -> str:
    target = obj.get("involvedObject") or obj.get("regarding") or {}
    return f"{target.get('kind', '').lower()}/{target.get('name', '')}"


def _last_seen(obj: Object) -> str:
    moment = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or obj.get("eventTime")
    return age(moment or obj["metadata"].get("creationTimestamp"))


def _job_status(job: Object) -> str:
    true = {one["type"] for one in _at(job, "status.conditions", []) if one.get("status") == "True"}
    found = next((one for one in ("Complete", "Failed", "Suspended") if one in true), "Running")
    return "Terminating" if job["metadata"].get("deletionTimestamp") and found == "Running" else found


def _targets(obj: Object) -> str:
    return f"{_at(obj, 'spec.scaleTargetRef.kind')}/{_at(obj, 'spec.scaleTargetRef.name')}"


def _node_status(node: Object) -> str:
    ready = [one for one in _at(node, "status.conditions", []) if one.get("type") == "Ready"]
    if not ready:
        return "Unknown"
    return "Ready" if ready[0].get("status") == "True" else "NotReady"


def _data(obj: Object) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


_EVENT = (
    Column("Last Seen", _last_seen), _value("Type", "type"), _value("Reason", "reason"),
    Column("Object", _event_object),
    Column("Message", lambda obj: (obj.get("message") or obj.get("note") or "").strip()),
)  # fmt: skip
_WEBHOOKS = (Column("Webhooks", lambda obj: len(obj.get("webhooks") or ()), "integer"), AGE)
_ROLE_OF = Column("Role", lambda obj: f"{_at(obj, 'roleRef.kind')}/{_at(obj, 'roleRef.name')}")
_CREATED = Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp"))

COLUMNS: Mapping[GroupResource, Sequence[Column]] = {
    ("", "namespaces"): (_value("Status", "status.phase"), AGE),
    ("", "pods"): (
        Column("Ready", _pod_ready), Column("Status", _pod_status), Column("Restarts", _pod_restarts), AGE,
        _value("IP", "status.podIP", NONE, wide=True), _value("Node", "spec.nodeName", NONE, wide=True),
        _value("Nominated Node", "status.nominatedNodeName", NONE, wide=True),
        Column("Readiness Gates", _gates, priority=1),
    ),
    ("", "services"): (
        _value("Type", "spec.type"), _value("Cluster-IP", "spec.clusterIP", NONE),
        Column("External-IP", _external), Column("Port(s)", _ports), AGE, _labels("spec.selector"),
    ),
    ("", "endpoints"): (Column("Endpoints", _endpoints), AGE),
    ("", "configmaps"): (Column("Data", _data, "integer"), AGE),
    ("", "secrets"): (_value("Type", "type"), Column("Data", _data, "integer"), AGE),
    ("", "events"): _EVENT,
    ("events.k8s.io", "events"): _EVENT,
    ("", "nodes"): (Column("Status", _node_status), AGE, _value("Version", "status.nodeInfo.kubeletVersion")),
    ("", "persistentvolumeclaims"): (
        _value("Status", "status.phase"), _value("Volume", "spec.volumeName"),
        _value("StorageClass", "spec.storageClassName"), AGE,
    ),
    ("apps", "deployments"): (
        _ratio("status.readyReplicas", "spec.replicas"), _count("Up-to-date", "status.updatedReplicas"),
        _count("Available", "status.availableReplicas"), AGE, *_TEMPLATE,
    ),
    ("apps", "replicasets"): (
        _count("Desired", "spec.replicas"), _count("Current", "status.replicas"),
        _count("Ready", "status.readyReplicas"), AGE, *_TEMPLATE,
    ),
    ("apps", "statefulsets"): (_ratio("status.readyReplicas", "spec.replicas"), AGE, *_TEMPLATE[:2]),
    ("apps", "daemonsets"): (
        _count("Desired", "status.desiredNumberScheduled"), _count("Current", "status.currentNumberScheduled"),
        _count("Ready", "status.numberReady"), _count("Up-to-date", "status.updatedNumberScheduled"),
        _count("Available", "status.numberAvailable"), AGE, *_TEMPLATE,
    ),
    ("batch", "jobs"): (
        Column("Status", _job_status),
        Column("Completions", lambda o: f"{_at(o, 'status.succeeded', 0)}/{_at(o, 'spec.completions', 1)}"),
        AGE, *_TEMPLATE,
    ),
    ("batch", "cronjobs"): (
        _value("Schedule", "spec.schedule"), _value("Suspend", "spec.suspend", kind="boolean"),
        Column("Active", lambda o: len(_at(o, "status.active", [])), "integer"), AGE,
    ),
    ("autoscaling", "horizontalpodautoscalers"): (
        Column("Reference", _targets), _count("MinPods", "spec.minReplicas"), _count("MaxPods", "spec.maxReplicas"),
        _count("Replicas", "status.currentReplicas"), AGE,
    ),
    ("policy", "poddisruptionbudgets"): (
        _value("Min Available", "spec.minAvailable", "N/A"), _value("Max Unavailable", "spec.maxUnavailable", "N/A"),
        _count("Allowed Disruptions", "status.disruptionsAllowed"), AGE,
    ),
    ("discovery.k8s.io", "endpointslices"): (
        _value("AddressType", "addressType"),
        Column("Ports", lambda o: _listed([one.get("port") for one in o.get("ports") or ()])),
        Column("Endpoints", _slice_addresses), AGE,
    ),
    ("networking.k8s.io", "ingresses"): (
        _value("Class", "spec.ingressClassName", NONE),
        Column("Hosts", lambda o: _listed([one.get("host", "*") for one in _at(o, "spec.rules", [])])), AGE,
    ),
    ("networking.k8s.io", "networkpolicies"): (
        Column("Pod-Selector", lambda o: format_selector(_at(o, "spec.podSelector")) or NONE), AGE,
    ),
    ("coordination.k8s.io", "leases"): (_value("Holder", "spec.holderIdentity"), AGE),
    ("rbac.authorization.k8s.io", "roles"): (_CREATED,),
    ("rbac.authorization.k8s.io", "clusterroles"): (_CREATED,),
    ("rbac.authorization.k8s.io", "rolebindings"): (_ROLE_OF, AGE),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): (_ROLE_OF, AGE),
    ("storage.k8s.io", "storageclasses"): (_value("Provisioner", "provisioner"), AGE),
    ("scheduling.k8s.io", "priorityclasses"): (_count("Value", "value"), AGE),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _WEBHOOKS,
    ("apiextensions.k8s.io", "customresourcedefinitions"): (_CREATED,),
}  # fmt: skip
