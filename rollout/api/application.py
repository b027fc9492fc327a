"""Application: a path in a repository, rendered, applied, watched, and reverted."""

from typing import Annotated, Any, Literal

import msgspec

from analysis.model_base import Model
from rollout.api.application_status import ApplicationStatus
from rollout.api.meta import NameRef, ObjectMeta
from rollout.api.revert import RevertPolicy

Duration = Annotated[str, msgspec.Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")]
Percentage = Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+)?%$")]


class DirectorySource(Model):
    """Plain YAML files."""

    recurse: bool = True
    """Whether folders below `path` are read too."""


class KustomizeSource(Model):
    """A kustomization at `path`; patches and images belong in Git, so there is nothing to set."""


class HelmChart(Model):
    """A chart from a registry or a Helm repository."""

    url: str
    """oci:// address, or https:// address of a Helm repository."""
    version: str
    """Exact version; a range would make the render depend on the day."""
    name: str | None = None
    """Name of the chart in a Helm repository; not for oci://."""
    secret_ref: NameRef | None = None
    """Secret with credentials for the registry."""


class HelmSource(Model):
    """A Helm chart with values."""

    chart: HelmChart | None = None
    """The chart. Default: the chart at `path`."""
    release_name: str | None = None
    """Name of the release. Default: the Application's name."""
    values_files: tuple[str, ...] = ()
    """Files with values, relative to `path`; later ones win."""
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    """Values in the manifest itself; they win, and a revert in this repository cannot take them back."""
    kube_version: str | None = None
    """Kubernetes version that templates see. Default: the destination's."""


class ApplicationSource(Model):
    """What is rendered; at most one of directory, kustomize, helm. Default: directory."""

    repository_ref: NameRef
    """The GitRepository, in the same namespace."""
    path: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    """Folder in the repository, without a leading slash; empty: its root."""
    directory: DirectorySource | None = None
    """Plain YAML files."""
    kustomize: KustomizeSource | None = None
    """Kustomize."""
    helm: HelmSource | None = None
    """Helm."""


class SecretKeyRef(Model):
    """One key of a Secret in the same namespace."""

    name: str
    """Name of the Secret."""
    key: str = "value"
    """Key in the Secret."""


class KubeConfigRef(Model):
    """Credentials of another cluster."""

    secret_ref: SecretKeyRef
    """Secret that holds a kubeconfig."""


class Destination(Model):
    """Where objects are applied."""

    namespace: str | None = None
    """Namespace for objects that name none. Default: the Application's."""
    kube_config: KubeConfigRef | None = None
    """Another cluster. Default: the one that Coalmine runs in."""


class SyncWindow(Model):
    """A time span in which new rollouts may start; reverts always pass."""

    schedule: str
    """Start, as a cron expression of five fields."""
    duration: Duration
    """Length."""
    time_zone: str = "UTC"
    """IANA name of the time zone of the schedule."""


class SyncPolicy(Model):
    """How the cluster is kept in line with Git."""

    mode: Literal["Apply", "Observe"] = "Apply"
    """Apply, or Observe where Argo CD or Flux applies and Coalmine renders, watches and reverts."""
    interval: Duration = "10m"
    """Full check for drift; events make it immediate."""
    self_heal: bool = True
    """Whether changes made in the cluster are taken back; what a Rollout or an HPA drives is left to it."""
    prune: bool = False
    """Whether objects that Git no longer declares are deleted; only after a complete render."""
    prune_limit: Percentage = "30%"
    """Larger prunes wait for the annotation `coalmine.dev/confirm-prune: <revision>`."""
    windows: tuple[SyncWindow, ...] = ()
    """Time spans in which new rollouts may start; none: always."""


class ImagePolicy(Model):
    """Which tag is wanted; exactly one of semver, regex with order, digest."""

    semver: str | None = None
    """Highest version in this range."""
    regex: str | None = None
    """Tags that match this expression."""
    order: Literal["Alphabetical", "Numerical"] | None = None
    """How tags that match `regex` are ordered; the last one is taken."""
    digest: str | None = None
    """The digest that this tag points to."""


class WriteTo(Model):
    """Where a new tag is written."""

    file: str
    """File, relative to the Application's path."""
    key: str | None = None
    """Key in a values file of Helm; not for a kustomization."""


class ImageUpdate(Model):
    """New tags of an image become commits."""

    image: str
    """Repository of the image, without a tag."""
    policy: ImagePolicy
    """Which tag is wanted."""
    write_to: WriteTo
    """Where the tag is written."""
    secret_ref: NameRef | None = None
    """Secret with credentials for the registry."""


class ApplicationSpec(Model):
    """What is rendered, where it is applied, and what happens when a release fails."""

    source: ApplicationSource
    """What is rendered."""
    destination: Destination = Destination()
    """Where it is applied."""
    service_account_name: str | None = None
    """Service account that is impersonated for every read and write in the cluster."""
    sync: SyncPolicy = SyncPolicy()
    """How the cluster is kept in line."""
    depends_on: tuple[NameRef, ...] = ()
    """Applications that must be Ready first."""
    deletion_policy: Literal["Orphan", "Delete"] = "Orphan"
    """What happens to applied objects when the Application is deleted."""
    revert: RevertPolicy = RevertPolicy()
    """Default for every Rollout of this Application."""
    image_updates: tuple[ImageUpdate, ...] = ()
    """Images whose new tags are committed."""
    suspend: bool = False
    """Stop applying; failures are still recorded, and reverts wait."""


class Application(Model):
    """A path in a Git repository that is rendered, applied, watched, and reverted when a release fails."""

    metadata: ObjectMeta
    """Standard object metadata."""
    spec: ApplicationSpec
    """What the user wants."""
    status: ApplicationStatus = ApplicationStatus()
    """What Coalmine observed and did."""
