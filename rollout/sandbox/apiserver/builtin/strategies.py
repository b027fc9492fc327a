"""Which defaults and rules each built-in kind has."""

from collections.abc import Callable, Iterator
from typing import Any

from rollout.sandbox.apiserver.builtin import others, pods, services, workloads
from rollout.sandbox.apiserver.errors import Cause
from rollout.sandbox.apiserver.kinds import GroupResource

Object = dict[str, Any]
CORE, APPS, BATCH, RBAC = "", "apps", "batch", "rbac.authorization.k8s.io"
CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")


def nothing(_obj: Object) -> None:
    """What kinds without defaults do."""


DEFAULTS: dict[GroupResource, Callable[[Object], None]] = {
    (CORE, "pods"): pods.default_pod,
    (CORE, "services"): services.default_service,
    (CORE, "secrets"): others.default_secret,
    (APPS, "deployments"): workloads.default_deployment,
    (APPS, "replicasets"): workloads.default_template,
    (APPS, "statefulsets"): workloads.default_stateful_set,
    (APPS, "daemonsets"): workloads.default_daemon_set,
    (BATCH, "jobs"): workloads.default_job,
    ("autoscaling", "horizontalpodautoscalers"): others.default_autoscaler,
    ("networking.k8s.io", "networkpolicies"): others.default_network_policy,
    (RBAC, "rolebindings"): others.default_binding,
    (RBAC, "clusterrolebindings"): others.default_binding,
    CRDS: others.default_definition,
}

ADMIT_NEW: dict[GroupResource, Callable[[Object], None]] = {
    (CORE, "pods"): pods.admit_pod,
    (CORE, "namespaces"): others.admit_namespace,
    (CORE, "persistentvolumeclaims"): others.admit_claim,
    (BATCH, "jobs"): workloads.admit_job,
}

Rules = Callable[[Object, Object | None], Iterator[Cause]]
RULES: dict[GroupResource, Rules] = {
    (CORE, "pods"): pods.pod_causes,
    (CORE, "services"): services.service_causes,
    (CORE, "secrets"): others.secret_causes,
    (CORE, "configmaps"): others.frozen_causes,
    (APPS, "deployments"): workloads.workload_causes,
    (APPS, "replicasets"): workloads.workload_causes,
    (APPS, "statefulsets"): workloads.workload_causes,
    (APPS, "daemonsets"): workloads.workload_causes,
    (BATCH, "jobs"): workloads.job_causes,
    (RBAC, "rolebindings"): others.binding_causes,
    (RBAC, "clusterrolebindings"): others.binding_causes,
    CRDS: others.definition_causes,
}
