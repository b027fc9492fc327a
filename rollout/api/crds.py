"""The CustomResourceDefinitions of all kinds; `python -m rollout.api.crds DIR` writes them (`make crds`)."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from rollout.api.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from rollout.api.application import Application
from rollout.api.experiment import Experiment
from rollout.api.failuremodel import FailureModel
from rollout.api.gitrepository import GitRepository
from rollout.api.meta import API_VERSION, GROUP, VERSION
from rollout.api.rollout import Rollout
from rollout.api.schema import kind_schema

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0

    def manifest(self) -> Json:
        """As a CRD has it."""
        column: Json = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": self.priority} if self.priority else {})


_AGE = Column("Age", ".metadata.creationTimestamp", "date")


def _ready(*more: Column) -> tuple[Column, ...]:
    ready = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
    message = Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1)
    return (*more, ready, message, _AGE)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its struct, its names, and what `kubectl get` shows."""

    struct: type[msgspec.Struct]
    plural: str
    short: tuple[str, ...]
    columns: tuple[Column, ...] = (_AGE,)
    namespaced: bool = True
    subresources: Json = field(default_factory=dict)

    def manifest(self) -> Json:
        """The CustomResourceDefinition."""
        name = self.struct.__name__
        version: Json = {
            "name": VERSION,
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": kind_schema(self.struct, API_VERSION)},
            "additionalPrinterColumns": [column.manifest() for column in self.columns],
        }
        if self.subresources:
            version["subresources"] = self.subresources
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "scope": "Namespaced" if self.namespaced else "Cluster",
                "names": {
                    "kind": name,
                    "listKind": f"{name}List",
                    "plural": self.plural,
                    "singular": name.lower(),
                    "shortNames": list(self.short),
                    "categories": ["coalmine"],
                },
                "versions": [version],
            },
        }


_STATUS: Json = {"status": {}}
_SCALE: Json = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.HPAReplicas",
    "labelSelectorPath": ".status.selector",
}

KINDS = (
    Kind(
        Rollout,
        "rollouts",
        ("ro",),
        (
            Column("Desired", ".spec.replicas", "integer"),
            Column("Current", ".status.replicas", "integer"),
            Column("Up-to-date", ".status.updatedReplicas", "integer"),
            Column("Available", ".status.availableReplicas", "integer"),
            Column("Phase", ".status.phase"),
            Column("Weight", ".status.canary.weights.canary.weight", "integer", 1),
            Column("Message", ".status.message", priority=1),
            _AGE,
        ),
        subresources={**_STATUS, "scale": _SCALE},
    ),
    Kind(AnalysisTemplate, "analysistemplates", ("at",)),
    Kind(ClusterAnalysisTemplate, "clusteranalysistemplates", ("cat",), namespaced=False),
    Kind(
        AnalysisRun,
        "analysisruns",
        ("ar",),
        (
            Column("Status", ".status.phase"),
            Column("Evidence", ".status.comparison.evidence"),
            Column("Message", ".status.message", priority=1),
            _AGE,
        ),
        subresources=_STATUS,
    ),
    Kind(Experiment, "experiments", ("exp",), (Column("Status", ".status.phase"), _AGE), subresources=_STATUS),
    Kind(FailureModel, "failuremodels", ("fm",), (Column("Phase", ".status.phase"), _AGE), subresources=_STATUS),
    Kind(
        GitRepository,
        "gitrepositories",
        ("cmgit",),
        _ready(Column("URL", ".spec.url"), Column("Revision", ".status.revision")),
        subresources=_STATUS,
    ),
    Kind(
        Application,
        "applications",
        ("capp",),
        (
            Column("Synced", '.status.conditions[?(@.type=="Synced")].status'),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reverted", '.status.conditions[?(@.type=="Reverted")].reason'),
            Column("Revision", ".status.appliedRevision"),
            Column("Message", '.status.conditions[?(@.type=="Synced")].message', priority=1),
            _AGE,
        ),
        subresources=_STATUS,
    ),
)


def write(directory: Path) -> list[Path]:
    """Write one file a kind; returns their paths."""
    directory.mkdir(exist_ok=True)
    written = []
    for kind in KINDS:
        path = directory / f"{GROUP}_{kind.plural}.yaml"
        path.write_text(text(kind))
        written.append(path)
    return written


def text(kind: Kind) -> str:
    """The file of a kind."""
    head = "# Generated from rollout/api by `make crds`; do not edit.\n"
    return head + yaml.safe_dump(kind.manifest(), sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
