"""Label and field selectors: in requests, and LabelSelector objects."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from rollout.sandbox.apiserver.errors import bad_request
from rollout.sandbox.apiserver.kinds import Resource, Version

Object = dict[str, Any]
LabelTest = Callable[[Mapping[str, str]], bool]
FieldTest = Callable[[Object], bool]

_IN_SET = re.compile(r"([^\s!=(),]+)\s+(in|notin)\s+\(([^)]*)\)")
_EQUALITY = re.compile(r"([^\s!=(),]+)\s*(==|=|!=)\s*([^\s!=(),]*)")
_EXISTS = re.compile(r"(!?)\s*([^\s!=(),]+)")
_FIELD = re.compile(r"([^!=]+)(!=|==|=)(.*)")

_FIELDS: dict[tuple[str, str], frozenset[str]] = {
    ("", "pods"): frozenset({
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
    }),
    ("", "events"): frozenset({
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    }),
    ("events.k8s.io", "events"): frozenset({
        "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type",
        "reportingController",
    }),
    ("", "nodes"): frozenset({"spec.unschedulable"}),
    ("", "secrets"): frozenset({"type"}),
    ("", "namespaces"): frozenset({"status.phase"}),
    ("", "services"): frozenset({"spec.clusterIP", "spec.type"}),
    ("apps", "replicasets"): frozenset({"status.replicas"}),
    ("batch", "jobs"): frozenset({"status.successful"}),
}  # fmt: skip


def label_test(selector: str | None) -> LabelTest | None:
    """The predicate of a `labelSelector` parameter; None when it selects everything.

    Raises:
        StatusError: 400 when it cannot be read.
    """
    if not selector:
        return None
    tests = [_requirement(part.strip(), selector) for part in re.split(r",(?![^()]*\))", selector)]
    return lambda labels: all(test(labels) for test in tests)


def _requirement(part: str, selector: str) -> LabelTest:
    if matched := _IN_SET.fullmatch(part):
        values = {value.strip() for value in matched[3].split(",")}
        return _membership(matched[1], values, wanted=matched[2] == "in")
    if matched := _EQUALITY.fullmatch(part):
        return _membership(matched[1], {matched[3]}, wanted=matched[2] != "!=")
    if matched := _EXISTS.fullmatch(part):
        negated, key = bool(matched[1]), matched[2]
        return lambda labels: (key in labels) != negated
    raise bad_request(f'unable to parse requirement: found {part!r} in label selector "{selector}"')


def _membership(key: str, values: set[str], *, wanted: bool) -> LabelTest:
    # A missing label is not in any set, so `!=` and `notin` select objects without it.
    return lambda labels: (labels.get(key) in values) == wanted


def selector_test(selector: Mapping[str, Any] | None) -> LabelTest:
    """The predicate of a LabelSelector object; None selects nothing, an empty one everything."""
    if selector is None:
        return lambda _labels: False
    tests = [_membership(key, {value}, wanted=True) for key, value in (selector.get("matchLabels") or {}).items()]
    tests += [_expression(expression) for expression in selector.get("matchExpressions") or ()]
    return lambda labels: all(test(labels) for test in tests)


def _expression(expression: Mapping[str, Any]) -> LabelTest:
    key, operator = expression["key"], expression["operator"]
    if operator in {"In", "NotIn"}:
        return _membership(key, set(expression.get("values") or ()), wanted=operator == "In")
    return lambda labels: (key in labels) == (operator == "Exists")


def format_selector(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector object as text, the form `status.selector` of a Scale has."""
    if not selector:
        return ""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        values = ",".join(sorted(one.get("values") or ()))
        words = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}
        parts.append(words[one["operator"]].format(one["key"], values))
    return ",".join(parts)


def field_test(selector: str | None, resource: Resource, version: Version) -> FieldTest | None:
    """The predicate of a `fieldSelector` parameter; None when it selects everything.

    Raises:
        StatusError: 400 for fields that cannot be selected by.
    """
    if not selector:
        return None
    tests = [_field_requirement(part, resource, version) for part in selector.split(",") if part]
    return lambda obj: all(test(obj) for test in tests)


def _field_requirement(part: str, resource: Resource, version: Version) -> FieldTest:
    matched = _FIELD.fullmatch(part)
    if not matched:
        raise bad_request(f"invalid field selector: {part}")
    name, wanted, value = matched[1].strip(), matched[2] != "!=", matched[3].strip()
    known = {"metadata.name", "metadata.namespace"} | _FIELDS.get(resource.key, frozenset())
    if name not in known and f".{name}" not in version.selectable:
        raise bad_request(f"field label not supported: {name}")
    path = name.split(".")
    return lambda obj: (_text_at(obj, path) == value) == wanted


def _text_at(obj: Any, path: list[str]) -> str:
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    match obj:
        case None:
            return ""
        case bool():
            return str(obj).lower()
        case _:
            return str(obj)
