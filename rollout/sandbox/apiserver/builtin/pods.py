"""Defaults and rules of pods and pod templates that no schema can say."""

from collections.abc import Iterator
from typing import Any

from rollout.sandbox.apiserver import naming
from rollout.sandbox.apiserver.errors import Cause
from rollout.sandbox.apiserver.schema.validate import cause, invalid_value, not_supported, required

Object = dict[str, Any]
_MUTABLE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
).removeprefix("spec: ")


def containers_of(spec: Object) -> list[Object]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def default_pod_spec(spec: Object) -> None:
    """Defaults that depend on other fields. In place."""
    for container in containers_of(spec):
        if "image" in container:
            container.setdefault("imagePullPolicy", _pull_policy(container["image"]))
    for volume in spec.get("volumes") or ():
        if set(volume) == {"name"}:
            volume["emptyDir"] = {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def _pull_policy(image: str) -> str:
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in {"", "latest"} else "IfNotPresent"


def default_pod(pod: Object) -> None:
    """What admission adds to pods, and not to templates. In place."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in containers_of(spec):
        resources = container.get("resources") or {}
        if limits := resources.get("limits"):
            resources["requests"] = {**limits, **(resources.get("requests") or {})}


def admit_pod(pod: Object) -> None:
    """What a cluster's usual admission plug-ins set on new pods. In place."""
    spec = pod["spec"]
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    if not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"] = "default"
    pod["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)}


def quality_of_service(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits of cpu and memory."""
    figures = [(one.get("resources") or {}) for one in spec.get("containers") or ()]
    if not any(one.get("limits") or one.get("requests") for one in figures):
        return "BestEffort"
    needed = {"cpu", "memory"}
    guaranteed = all(
        needed <= set(one.get("limits") or ()) and one.get("limits") == one.get("requests") for one in figures
    )
    return "Guaranteed" if guaranteed else "Burstable"


def pod_spec_causes(spec: Object, path: str) -> Iterator[Cause]:
    """What is wrong with a pod's spec."""
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield from _container_causes(container, f"{path}.{field}[{index}]", spec)
    seen = {volume["name"] for volume in spec.get("volumes") or () if "name" in volume}
    for index, volume in enumerate(spec.get("volumes") or ()):
        if "name" in volume and (words := naming.label_problem(volume["name"])):
            yield invalid_value(f"{path}.volumes[{index}].name", volume["name"], words)
    yield from _mount_causes(spec, seen, path)


def _container_causes(container: Object, path: str, spec: Object) -> Iterator[Cause]:
    name = container.get("name", "")
    if name and (words := naming.label_problem(name)):
        yield invalid_value(f"{path}.name", name, words)
    if not container.get("image"):
        yield required(f"{path}.image")
    names = [one.get("name") for one in containers_of(spec)]
    if name and names.count(name) > 1:
        yield cause("FieldValueDuplicate", f"{path}.name", f'Duplicate value: "{name}"')


def _mount_causes(spec: Object, volumes: set[str], path: str) -> Iterator[Cause]:
    for index, container in enumerate(spec.get("containers") or ()):
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            if mount.get("name") not in volumes:
                field = f"{path}.containers[{index}].volumeMounts[{place}].name"
                yield cause("FieldValueNotFound", field, f'Not found: "{mount.get("name")}"')


def pod_causes(pod: Object, old: Object | None) -> Iterator[Cause]:
    yield from pod_spec_causes(pod.get("spec") or {}, "spec")
    if old and _frozen_part(pod["spec"]) != _frozen_part(old["spec"]):
        yield cause("FieldValueForbidden", "spec", _MUTABLE)


def _frozen_part(spec: Object) -> Object:
    frozen = dict(spec)
    for field in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"):
        frozen.pop(field, None)
    for field in ("containers", "initContainers"):
        frozen[field] = [{**one, "image": ""} for one in spec.get(field) or ()]
    return frozen


def template_causes(template: Object, path: str, restart: tuple[str, ...]) -> Iterator[Cause]:
    """What is wrong with a pod template; `restart` are the restart policies its owner allows."""
    yield from naming.label_causes((template.get("metadata") or {}).get("labels") or {}, f"{path}.metadata.labels")
    spec = template.get("spec") or {}
    yield from pod_spec_causes(spec, f"{path}.spec")
    policy = spec.get("restartPolicy")
    if policy and policy not in restart:
        yield not_supported(f"{path}.spec.restartPolicy", policy, list(restart))
