"""Reads HTTPRoutes. What Envoy would refuse is refused here, a route at a time, so that no route breaks the others."""

import re
from collections.abc import Callable
from typing import Any

from analysis.durations import parse_duration
from rollout.kube.cache import Cache, Key, key_of
from rollout.sandbox.gateway.model import Backend, Entry, Json, Match, Pairs, Route, Share

_HOSTNAME = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PATH = re.compile(r"/[A-Za-z0-9/._~!$&'()*+,;=:@%-]*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,256}")
_VALUE = re.compile(r"[\x20-\x7e]{1,4096}")
_GATEWAY_GROUP = "gateway.networking.k8s.io"
_TIMEOUT_SECONDS_MAX = 3600.0

FindPort = Callable[[Key, int], bool]
"""Whether a Service exists and has a port."""


class UnsupportedValue(ValueError):
    """The route asks for something that this gateway does not do."""


def read(route: Json, services: Cache) -> Route:
    """Understand a route; never raises, a route that cannot be served carries its refusal."""
    metadata, spec = route["metadata"], route.get("spec") or {}
    identity = (key_of(route), int(metadata.get("generation") or 0), str(metadata.get("creationTimestamp") or ""))
    parents = tuple(p for p in spec.get("parentRefs") or [] if p.get("kind", "Gateway") == "Gateway")
    reader = _Reader(metadata["namespace"], services)
    try:
        hostnames = tuple(_hostname(name) for name in spec.get("hostnames") or []) or ("*",)
        entries = tuple(entry for rule in spec.get("rules") or [{}] for entry in reader.rule(rule))
    except (UnsupportedValue, ValueError, TypeError, KeyError, AttributeError) as error:
        return Route(*identity, parents, refusal=str(error) or type(error).__name__)
    return Route(*identity, parents, hostnames, entries, unresolved=reader.unresolved)


def applies(parent: Json) -> bool:
    """Whether a parentRef is of a group of ours."""
    return bool(parent.get("group", _GATEWAY_GROUP) == _GATEWAY_GROUP)


class _Reader:
    """Reads the rules of one route, and keeps the first reference that leads nowhere."""

    def __init__(self, namespace: str, services: Cache) -> None:
        self._namespace, self._services = namespace, services
        self.unresolved: tuple[str, str] | None = None

    def rule(self, rule: Json) -> list[Entry]:
        for field in ("filters", "retry", "sessionPersistence"):
            if rule.get(field):
                raise UnsupportedValue(f"rules[].{field} is not served by the sandbox's gateway")
        shares = tuple(self._share(reference) for reference in rule.get("backendRefs") or [])
        timeout = _timeout((rule.get("timeouts") or {}).get("request"))
        return [Entry(_match(match), shares, timeout) for match in rule.get("matches") or [{}]]

    def _share(self, reference: Json) -> Share:
        if reference.get("filters"):
            raise UnsupportedValue("backendRefs[].filters is not served by the sandbox's gateway")
        weight = reference.get("weight")
        problem = self._problem(reference)
        if problem is not None:
            self.unresolved = self.unresolved or problem
            return Share(None, 1 if weight is None else int(weight))
        backend = Backend(self._namespace, reference["name"], int(reference["port"]))
        return Share(backend, 1 if weight is None else int(weight))

    def _problem(self, reference: Json) -> tuple[str, str] | None:
        name, port = reference["name"], reference.get("port")
        if (reference.get("group") or "", reference.get("kind") or "Service") != ("", "Service"):
            return "InvalidKind", f'backendRef "{name}" is no Service'
        if (reference.get("namespace") or self._namespace) != self._namespace:
            return "RefNotPermitted", f'Service "{name}" is in another namespace'
        service = self._services.get((self._namespace, name))
        if service is None:
            return "BackendNotFound", f'Service "{name}" does not exist'
        if port not in [p["port"] for p in service["spec"].get("ports") or []]:
            return "BackendNotFound", f'Service "{name}" has no port {port}'
        return None


def _hostname(name: str) -> str:
    if not _HOSTNAME.fullmatch(name):
        raise UnsupportedValue(f"{name[:64]!r} is no hostname")
    return name


def _match(match: Json) -> Match:
    path = match.get("path") or {}
    kind, value = path.get("type") or "PathPrefix", str(path.get("value") or "/")
    if kind not in {"Exact", "PathPrefix"}:
        raise UnsupportedValue(f"paths of type {kind} are not served by the sandbox's gateway")
    if not _PATH.fullmatch(value):
        raise UnsupportedValue(f"{value[:64]!r} is no path")
    conditions = (match.get("method") or "", _pairs(match, "headers"), _pairs(match, "queryParams"))
    if kind == "Exact":
        return Match("Exact", value, *conditions)
    return Match("PathPrefix", value.rstrip("/") or "/", *conditions)


def _pairs(match: Json, field: str) -> Pairs:
    return tuple(_pair(field, entry) for entry in match.get(field) or [])


def _pair(field: str, entry: dict[str, Any]) -> tuple[str, str]:
    name, value = entry["name"], entry["value"]
    if (entry.get("type") or "Exact") != "Exact":
        raise UnsupportedValue(f"{field} of type {entry['type']} are not served by the sandbox's gateway")
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise UnsupportedValue(f"{field} has a name or a value that no request can carry: {name[:64]!r}")
    return name, value


def _timeout(text: str | None) -> float | None:
    """Seconds of `timeouts.request`; 0 means none, as Envoy has it."""
    return None if text is None else min(parse_duration(text), _TIMEOUT_SECONDS_MAX)
