"""One render: choose the renderer, place objects in namespaces, refuse duplicates, digest the result."""

from collections import Counter
from collections.abc import Mapping

from rollout.api.application import ApplicationSource
from rollout.domain.sync.digest import digest
from rollout.domain.sync.files import Revisions
from rollout.domain.sync.objects import Json, ObjectId, Rendered, RenderedObject
from rollout.errors import NotSupportedYet, RenderError
from rollout.render.amount import expanded_bytes
from rollout.render.configs import hash_config_names
from rollout.render.directory import render_directory
from rollout.render.kustomize import render_kustomize
from rollout.render.limits import DEFAULT_LIMITS, Limits
from rollout.render.tree import SourceTree

Scopes = Mapping[tuple[str, str], bool]
"""(apiVersion, kind) -> whether it is namespaced."""

# Kinds without a namespace that every cluster has; the others are asked of discovery, or are in the same render.
_CLUSTER_KINDS = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("coalmine.dev", "ClusterAnalysisTemplate"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("networking.k8s.io", "IngressClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "StorageClass"),
    }
)


def render(
    files: Revisions,
    revision: str,
    source: ApplicationSource,
    namespace: str,
    *,
    scopes: Scopes | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Rendered:
    """Everything that a source declares at a commit (or in a tree); complete, or a RenderError that names the file.

    Args:
        files: the repository.
        revision: commit or tree id.
        source: renderer and path.
        namespace: of objects that name none.
        scopes: what discovery knows of kinds.
        limits: bounds.
    """
    tree = SourceTree.of(files, revision, limits)
    path = source.path.strip("/")
    plain = _run(tree, source, path)
    size_bytes = expanded_bytes([obj for obj, _ in plain], limits.rendered_bytes)
    if size_bytes > limits.rendered_bytes:
        words = f"the objects take more than {limits.rendered_bytes} bytes together; split it into several Applications"
        raise RenderError(words, path)
    hashed, warnings = hash_config_names(plain, namespace)
    known = {**_declared_scopes(plain), **(scopes or {})}
    objects = sorted((_place(obj, file, namespace, known) for obj, file in hashed), key=lambda o: o.id)
    _refuse_duplicates(objects)
    return Rendered(
        commit=revision,
        objects=tuple(objects),
        closure=frozenset(tree.closure),
        digest=digest([o.obj for o in objects]),
        closure_digest=digest(tree.blobs()),
        warnings=tuple(warnings),
        size_bytes=size_bytes,
    )


def _run(tree: SourceTree, source: ApplicationSource, path: str) -> list[tuple[Json, str]]:
    """The renderer that the source names; a plain directory by default."""
    if source.helm is not None:
        raise NotSupportedYet("spec.source.helm", "use directory or kustomize")
    if source.kustomize is not None:
        return render_kustomize(tree, path)
    return render_directory(tree, path, recurse=source.directory is None or source.directory.recurse)


def _place(obj: Json, file: str, namespace: str, scopes: Scopes) -> RenderedObject:
    """The object with its namespace filled in, or removed where its kind has none."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "namespace"}
    if _is_namespaced(obj, scopes):
        metadata["namespace"] = obj["metadata"].get("namespace") or namespace
    placed = {**obj, "metadata": metadata}
    placed.pop("status", None)
    return RenderedObject(ObjectId.of(placed), placed, file)


def _is_namespaced(obj: Json, scopes: Scopes) -> bool:
    known = scopes.get((obj["apiVersion"], obj["kind"]))
    group = obj["apiVersion"].rpartition("/")[0]
    return known if known is not None else (group, obj["kind"]) not in _CLUSTER_KINDS


def _declared_scopes(objects: list[tuple[Json, str]]) -> dict[tuple[str, str], bool]:
    """Scopes of the custom kinds that the same render defines."""
    found = {}
    for obj, _ in objects:
        spec = obj.get("spec")
        if obj["kind"] == "CustomResourceDefinition" and isinstance(spec, dict):
            names, versions = spec.get("names"), spec.get("versions")
            kind = str(names.get("kind")) if isinstance(names, dict) else ""
            for version in versions if isinstance(versions, list) else []:
                name = version.get("name") if isinstance(version, dict) else None
                found[f"{spec.get('group')}/{name}", kind] = spec.get("scope") != "Cluster"
    return found


def _refuse_duplicates(objects: list[RenderedObject]) -> None:
    counted = Counter(o.id for o in objects)
    twice = next((object_id for object_id, count in counted.items() if count > 1), None)
    if twice is not None:
        files = sorted({o.path for o in objects if o.id == twice})
        raise RenderError(f"{twice.words} is declared {counted[twice]} times", " and ".join(files))
