"""Where kinds live in the API: group, version, plural and scope."""

import re
from dataclasses import dataclass

from rollout.errors import InvalidSpec

_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%?#\\\s\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server serves it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path of a collection (no name) or of one object.

        Names come from manifests of users, such as that of a Secret: one like `../../kube-system/secrets/x` would
        reach what its author may not read. Raises InvalidSpec for what is no name.
        """
        for given in (namespace or "", name):
            if not _SEGMENT.fullmatch(given):
                remedy = "a name has no slash, percent sign or blank, and is neither . nor .."
                raise InvalidSpec(f"{self.kind}.metadata.name", f"{given[:100]!r} is no name", remedy)
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{self.plural}{tail}"


GROUP, VERSION = "coalmine.dev", "v1alpha1"

ROLLOUTS = Resource(GROUP, VERSION, "rollouts", "Rollout")
ANALYSIS_TEMPLATES = Resource(GROUP, VERSION, "analysistemplates", "AnalysisTemplate")
CLUSTER_ANALYSIS_TEMPLATES = Resource(
    GROUP, VERSION, "clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False
)
ANALYSIS_RUNS = Resource(GROUP, VERSION, "analysisruns", "AnalysisRun")
EXPERIMENTS = Resource(GROUP, VERSION, "experiments", "Experiment")
FAILURE_MODELS = Resource(GROUP, VERSION, "failuremodels", "FailureModel")
GIT_REPOSITORIES = Resource(GROUP, VERSION, "gitrepositories", "GitRepository")
APPLICATIONS = Resource(GROUP, VERSION, "applications", "Application")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
