"""Renders the chart by Helm, in the ways in which people install it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "coalmine"

EVERYTHING: Json = {
    "replicas": 3,
    "image": {"repository": "registry.example:5000/team/coalmine", "digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "fullnameOverride": "delivery",
    "leaseSeconds": 30,
    "log": {"level": "DEBUG", "format": "text"},
    "metricAddresses": ["*.monitoring.svc", "10.0.0.1"],
    "extraArgs": ["--ports-file=/tmp/ports.json"],
    "rbac": {
        "secrets": {"namespaces": {"shop": ["shop-git"], "lab": "all"}},
        "applications": {
            "resources": [
                {"apiGroup": "coalmine.dev", "resources": ["rollouts", "analysistemplates"]},
                {"apiGroup": "", "resources": ["services", "configmaps"]},
                {"apiGroup": "gateway.networking.k8s.io", "resources": ["httproutes"]},
            ],
            "namespaces": ["shop", "lab"],
        },
        "userRoles": {"adminsManageApplications": True},
        "blockOwnerDeletion": True,
    },
    "serviceAccount": {"annotations": {"example.com/role": "delivery"}},
    "metrics": {"serviceMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "prometheus"}}},
    "webhooks": {"enabled": True, "type": "LoadBalancer", "port": 8443, "annotations": {"example.com/lb": "internal"}},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "webhooksFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "egress": [{"ports": [{"port": 443}]}],
    },
    "runAsUser": 1000,
    "topologySpread": "DoNotSchedule",
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "podAnnotations": {"example.com/note": "true"},
    "podLabels": {"team": "platform", "app.kubernetes.io/name": "not-mine"},
}

CASES: dict[str, Json] = {
    "default": {},
    "everything": EVERYTHING,
    "namespaced": {"namespaces": ["shop", "payments"]},
    "cluster-wide": {
        "rbac": {
            "secrets": {"clusterWide": True},
            "applications": {"clusterWide": True, "resources": [{"apiGroup": "", "resources": ["services"]}]},
        }
    },
    "bare": {
        "crds": {"install": False},
        "rbac": {"create": False, "userRoles": {"create": False}},
        "serviceAccount": {"create": False, "name": "mine"},
        "runAsUser": None,
        "replicas": 1,
    },
}


@dataclass(frozen=True)
class Release:
    """What an installation makes: its objects, and its words."""

    objects: list[Json]
    notes: str
    namespace: str
    values: Json = field(default_factory=dict)

    def of(self, *kinds: str) -> list[Json]:
        return [obj for obj in self.objects if obj["kind"] in kinds]

    def one(self, kind: str, ending: str = "") -> Json:
        (found,) = (obj for obj in self.of(kind) if obj["metadata"]["name"].endswith(ending))
        return found

    @property
    def pod(self) -> Json:
        template: Json = self.one("Deployment")["spec"]["template"]
        return template

    @property
    def container(self) -> Json:
        found: Json
        (found,) = self.pod["spec"]["containers"]
        return found


def texts(
    values: Json | None = None, *, name: str = "coalmine", namespace: str = "coalmine-system", chart: Path = CHART
) -> dict[str, str]:
    """What Helm renders, by the path of its template."""
    with helm.Chart.load(chart) as loaded:
        return loaded.render(values or {}, name=name, namespace=namespace)


def parsed(text: str) -> list[Json]:
    """The objects of a rendered file; the parser in C, since the CRDs are half a megabyte."""
    return [obj for obj in yaml.load_all(text, yaml.CSafeLoader) if obj is not None]


def render(values: Json | None = None, *, name: str = "coalmine", namespace: str = "coalmine-system") -> Release:
    """An installation's objects."""
    files = texts(values, name=name, namespace=namespace)
    notes = files.pop("coalmine/templates/NOTES.txt")
    return Release([obj for text in files.values() for obj in parsed(text)], notes, namespace, values or {})
