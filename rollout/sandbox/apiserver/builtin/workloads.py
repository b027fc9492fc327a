"""Defaults and rules of Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs."""

import json
from collections.abc import Iterator
from typing import Any

from rollout.sandbox.apiserver.builtin import pods
from rollout.sandbox.apiserver.errors import Cause
from rollout.sandbox.apiserver.schema.validate import cause, required
from rollout.sandbox.apiserver.selectors import selector_test

Object = dict[str, Any]


def default_template(obj: Object) -> None:
    template = obj.get("spec", {}).get("template")
    if template:
        pods.default_pod_spec(template.setdefault("spec", {}))


def default_deployment(obj: Object) -> None:
    default_template(obj)
    strategy = obj.setdefault("spec", {}).setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def default_stateful_set(obj: Object) -> None:
    default_template(obj)
    strategy = obj.setdefault("spec", {}).setdefault("updateStrategy", {})
    if strategy.get("type") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)


def default_daemon_set(obj: Object) -> None:
    default_template(obj)
    strategy = obj.setdefault("spec", {}).setdefault("updateStrategy", {})
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def default_job(obj: Object) -> None:
    default_template(obj)
    spec = obj.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2147483647 if "backoffLimitPerIndex" in spec else 6)
    if spec.get("podFailurePolicy"):
        spec["podReplacementPolicy"] = "Failed"


def admit_job(obj: Object) -> None:
    """A Job's selector and labels name its uid, so that no two Jobs share pods."""
    spec, uid, name = obj["spec"], obj["metadata"]["uid"], obj["metadata"]["name"]
    if spec.get("manualSelector"):
        return
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def workload_causes(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Rules of the apps kinds: a selector that never changes and selects the template's labels."""
    spec = obj.get("spec") or {}
    selector, template = spec.get("selector"), spec.get("template")
    if not selector:
        yield required("spec.selector")
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        words = f"empty selector is invalid for {obj['kind'].lower()}"
        yield _invalid("spec.selector", selector, words)
    labels = ((template or {}).get("metadata") or {}).get("labels") or {}
    if not selector_test(selector)(labels):
        words = "`selector` does not match template `labels`"
        yield _invalid("spec.template.metadata.labels", labels, words)
    yield from pods.template_causes(template or {}, "spec.template", ("Always",))
    if old and selector != old["spec"].get("selector"):
        yield _invalid("spec.selector", selector, "field is immutable")


def job_causes(obj: Object, old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    policy = (spec.get("template") or {}).get("spec", {}).get("restartPolicy")
    if policy == "Always":
        words = 'Required value: valid values: "OnFailure", "Never"'
        yield cause("FieldValueRequired", "spec.template.spec.restartPolicy", words)
    yield from pods.template_causes(spec.get("template") or {}, "spec.template", ("OnFailure", "Never", "Always"))
    for field in ("selector", "completions", "template"):
        if old and spec.get(field) != old["spec"].get(field):
            yield _invalid(f"spec.{field}", spec.get(field), "field is immutable")


def _invalid(field: str, value: Any, words: str) -> Cause:
    shown = json.dumps(value, separators=(",", ":"))
    return cause("FieldValueInvalid", field, f"Invalid value: {shown}: {words}")
