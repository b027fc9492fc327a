"""What the core needs of the outside, as Protocols. Adapters satisfy them structurally; tests may too."""

from collections.abc import Mapping
from typing import Any, Protocol

from rollout.kube.resources import Resource

Json = dict[str, Any]


class KubeApi(Protocol):
    """The API server. Every write is fenced by the Lease and raises the errors of `rollout.errors`."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """The live object, or None."""
        ...

    async def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "") -> list[Json]:
        """All objects (paged inside) of a namespace, or of all, by label selector."""
        ...

    async def create(self, resource: Resource, obj: Json) -> Json:
        """POST; raises Conflict when the name exists."""
        ...

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> Json:
        """RFC 7386 merge patch; `metadata.resourceVersion` in it makes it optimistic (Conflict)."""
        ...

    async def apply(
        self, resource: Resource, obj: Json, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Json:
        """Server-side apply with fieldValidation=Strict; raises Conflict with the fields of other managers."""
        ...

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str = "",
        propagation: str = "Background",
    ) -> None:
        """Delete; an object that is gone is fine; `uid` is a precondition."""
        ...

    async def discover(self, api_version: str, kind: str) -> Resource | None:
        """Where a kind is served, by discovery (cached), or None."""
        ...
