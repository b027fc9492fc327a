"""Going back to an earlier revision: which one, and its pod template as it was written. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rollout.api.keys import FINGERPRINT, HASH_LABEL
from rollout.cli.patches import NotPossible
from rollout.controllers.observe import replica_set
from rollout.domain.progress.revision import fingerprint

Json = dict[str, Any]

# What the API server fills in where a template is silent (k8s.io/kubernetes pkg/apis/core/v1/defaults.go). The protocol
# of ports is not here: our CRD fills it in too, so it belongs to the Rollout's template as it was written.
_POD_DEFAULTS: Json = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER_DEFAULTS: Json = {
    "imagePullPolicy": ("Always", "IfNotPresent"),
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE_DEFAULTS: Json = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
_DEFAULTS: dict[str, Json] = {
    "spec": _POD_DEFAULTS,
    "containers": _CONTAINER_DEFAULTS,
    "initContainers": _CONTAINER_DEFAULTS,
    "livenessProbe": _PROBE_DEFAULTS,
    "readinessProbe": _PROBE_DEFAULTS,
    "startupProbe": _PROBE_DEFAULTS,
    "httpGet": {"scheme": "HTTP"},
    "fieldRef": {"apiVersion": "v1"},
    "configMap": {"defaultMode": 420},
    "secret": {"defaultMode": 420},
    "downwardAPI": {"defaultMode": 420},
    "projected": {"defaultMode": 420},
}


@dataclass(frozen=True, slots=True)
class Undo:
    """An earlier revision and its template.

    Attributes:
        exact: whether the template is known to be what the user wrote then, so that its ReplicaSet is found again.
    """

    revision: int
    template: Json
    images: tuple[str, ...]
    exact: bool
    current: bool = False

    @property
    def patch(self) -> list[Json]:
        """The JSON patch, Argo's."""
        return [{"op": "replace", "path": "/spec/template", "value": self.template}]


def undo(live: Json, replica_sets: tuple[Json, ...], to_revision: int = 0) -> Undo:
    """What to go back to; raises NotPossible where there is no such revision.

    Args:
        live: the Rollout.
        replica_sets: its own.
        to_revision: the one that is wanted; 0: the one before the newest.
    """
    known = {view.revision: obj for obj in replica_sets if (view := replica_set(obj)).revision and not view.deleting}
    numbers = sorted(known, reverse=True)
    listed = ", ".join(map(str, numbers)) or "none"
    if to_revision and to_revision not in known:
        raise NotPossible(f"revision {to_revision} is not there; these are: {listed}")
    if not to_revision and len(numbers) < 2:
        raise NotPossible(f"there is no revision before the newest to go back to; there are: {listed}")
    number = to_revision or numbers[1]
    written = live["spec"].get("template") or {}
    template, exact = _as_written(known[number], written)
    images = tuple(c.get("image", "") for c in (template.get("spec") or {}).get("containers") or [])
    return Undo(number, template, images, exact, current=template == written)


def _as_written(replica_set_object: Json, written: Json) -> tuple[Json, bool]:
    """The template before the API server filled in defaults: the one that the operator's fingerprint confirms.

    Where none does, it is taken with the defaults: nothing that a user spelled out may get lost by a guess.

    Args:
        replica_set_object: whose template is asked for.
        written: the Rollout's present template; fields it spells out were probably spelled out before, too.
    """
    mark = (replica_set_object["metadata"].get("annotations") or {}).get(FINGERPRINT, "")
    candidates = list(_candidates(_unlabelled(replica_set_object["spec"]["template"]), written))
    confirmed = next((c for c in candidates if fingerprint(c) == mark), None)
    return (candidates[-1], False) if confirmed is None else (confirmed, True)


def _candidates(template: Json, written: Json) -> Iterator[Json]:
    yield _stripped(template, "", written)
    yield _stripped(template, "", None)
    yield template


def _unlabelled(template: Json) -> Json:
    """The template without the hash that the operator put there."""
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    labels = {key: value for key, value in (metadata.pop("labels", None) or {}).items() if key != HASH_LABEL}
    metadata |= {"labels": labels} if labels else {}
    rest = {key: value for key, value in template.items() if key != "metadata"}
    return {**({"metadata": metadata} if metadata else {}), **rest}


def _stripped(value: Any, field: str, written: Any) -> Any:
    """The value without defaults, but for those that `written` spells out at the same place."""
    if isinstance(value, list):
        others = written if isinstance(written, list) else []
        return [_stripped(item, field, others[i] if i < len(others) else None) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    other = written if isinstance(written, dict) else {}
    defaults = _DEFAULTS.get(field, {})
    kept = {k: _stripped(v, k, other.get(k)) for k, v in value.items() if k in other or not _is_default(defaults, k, v)}
    # The name of the service account is written twice by the API server; the deprecated field is its own.
    if "serviceAccount" not in other and kept.get("serviceAccount") == kept.get("serviceAccountName"):
        kept.pop("serviceAccount", None)
    return kept


def _is_default(defaults: Json, key: str, value: Any) -> bool:
    if key not in defaults:
        return False
    default = defaults[key]
    return value in default if isinstance(default, tuple) else bool(value == default)
