"""Requests to the API server: turns' writes are fenced by the Lease, every answer is bounded, every refusal typed."""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from analysis.bodies import read_body
from rollout.errors import ApiError, ApiUnavailable, Conflict, NotFound
from rollout.kube.connection import Connection
from rollout.kube.resources import Resource

Json = dict[str, Any]
Objects = list[Json]

REQUEST_TIMEOUT_SECONDS = 30.0
RESPONSE_BYTES_MAX = 256 * 1024 * 1024
PAGE_SIZE = 500
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


def unfenced() -> float:
    """The fence of those who do not share the cluster with another replica: the CLI, tests."""
    return math.inf


class KubeClient:
    """The API server.

    Args:
        connection: where and as whom.
        fence: called before each write; raises LeadershipLost where this replica may not write, else returns for how
            many seconds it may: a write that takes longer is given up, since somebody else may lead by then.
        observe: told (verb, plural, status) of each request, for metrics.
    """

    def __init__(
        self,
        connection: Connection,
        fence: Callable[[], float] = unfenced,
        observe: Callable[[str, str, int], None] = lambda *_: None,
    ) -> None:
        self._connection, self._fence, self._observe = connection, fence, observe
        self._kinds: dict[tuple[str, str], Resource | None] = {}

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """The live object, or None."""
        try:
            return await self._request("GET", resource, resource.path(namespace, name))
        except NotFound:
            return None

    async def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "") -> Objects:
        """All objects of a namespace, or of all, page by page."""
        items, _ = await self._pages(resource, namespace, labels, "application/json")
        return [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in items]

    async def list_metadata(
        self, resource: Resource, namespace: str | None = None, *, labels: str = ""
    ) -> tuple[Objects, int]:
        """Metadata of all objects, and the resourceVersion at which these were all there are."""
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
        return await self._pages(resource, namespace, labels, accept)

    async def _pages(self, resource: Resource, namespace: str | None, labels: str, accept: str) -> tuple[Objects, int]:
        """All pages are of one moment: that of the first, which the continue token carries."""
        items: Objects = []
        token = ""
        while True:
            params = {"limit": str(PAGE_SIZE), "labelSelector": labels, "continue": token}
            page = await self._request(
                "GET",
                resource,
                resource.path(namespace),
                params={k: v for k, v in params.items() if v},
                headers={"Accept": accept},
            )
            items += page.get("items") or []
            token = page["metadata"].get("continue") or ""
            if not token:
                return items, int(page["metadata"].get("resourceVersion") or 0)

    async def create(self, resource: Resource, obj: Json) -> Json:
        """POST; raises Conflict when the name exists."""
        namespace = obj["metadata"].get("namespace")
        return await self._request("POST", resource, resource.path(namespace), obj)

    async def update(self, resource: Resource, obj: Json) -> Json:
        """PUT; raises Conflict when somebody wrote in between."""
        metadata = obj["metadata"]
        return await self._request("PUT", resource, resource.path(metadata.get("namespace"), metadata["name"]), obj)

    async def create_subresource(
        self, resource: Resource, namespace: str, name: str, subresource: str, obj: Json
    ) -> Json:
        """POST to a subresource, such as a pod's eviction."""
        return await self._request("POST", resource, resource.path(namespace, name, subresource), obj)

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
        path = resource.path(namespace, name, subresource)
        return await self._request("PATCH", resource, path, patch, headers={"Content-Type": MERGE})

    async def json_patch(self, resource: Resource, namespace: str | None, name: str, patch: Objects) -> Json:
        """RFC 6902 JSON patch."""
        headers = {"Content-Type": "application/json-patch+json"}
        return await self._request("PATCH", resource, resource.path(namespace, name), patch, headers=headers)

    async def apply(
        self, resource: Resource, obj: Json, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Json:
        """Server-side apply with fieldValidation=Strict; raises Conflict with the fields of other managers."""
        params = {"fieldManager": manager, "fieldValidation": "Strict"}
        params |= {"force": "true"} if force else {}
        params |= {"dryRun": "All"} if dry_run else {}
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"])
        return await self._request("PATCH", resource, path, obj, headers={"Content-Type": APPLY}, params=params)

    async def delete(
        self, resource: Resource, namespace: str | None, name: str, *, uid: str = "", propagation: str = "Background"
    ) -> None:
        """Delete; an object that is gone is fine; `uid` is a precondition."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._request("DELETE", resource, resource.path(namespace, name), options)
        except NotFound:
            return

    async def delete_now(self, resource: Resource, namespace: str, name: str) -> None:
        """Remove an object without grace, as a kubelet does once a pod's processes have ended."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        try:
            await self._request("DELETE", resource, resource.path(namespace, name), options)
        except NotFound:
            return

    async def discover(self, api_version: str, kind: str) -> Resource | None:
        """Where a kind is served, by discovery; only found kinds are remembered, since CRDs may come later."""
        key = (api_version, kind)
        if key not in self._kinds:
            group, _, version = api_version.rpartition("/")
            root = f"/apis/{api_version}" if group else f"/api/{version}"
            try:
                found = await self._request("GET", Resource(group, version, "", ""), root)
            except NotFound:
                return None
            for entry in found.get("resources") or []:
                if "/" not in entry["name"]:
                    known = Resource(group, version, entry["name"], entry["kind"], entry["namespaced"])
                    self._kinds[api_version, entry["kind"]] = known
        return self._kinds.get(key)

    async def _request(
        self,
        method: str,
        resource: Resource,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Json:
        data = None if body is None else msgspec.json.encode(body)
        sent = {"Content-Type": "application/json", **(headers or {})} if data is not None else dict(headers or {})
        seconds = REQUEST_TIMEOUT_SECONDS if method == "GET" else min(REQUEST_TIMEOUT_SECONDS, self._fence())
        status = 0
        try:
            async with (
                asyncio.timeout(seconds),
                self._connection.session.request(
                    method, self._connection.server + path, data=data, headers=sent, params=params
                ) as response,
            ):
                status = response.status
                answer = _decode(await read_body(response, RESPONSE_BYTES_MAX))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(f"{method} {path}: {str(error) or type(error).__name__}") from error
        finally:
            self._observe(method, resource.plural, status)
        if status >= 400:
            raise refusal(status, answer)
        return answer


def _decode(text: bytes) -> Json:
    try:
        answer = msgspec.json.decode(text)
    except ValueError:  # What is no JSON, and what is no UTF-8.
        answer = {"message": text[:500].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {"message": str(answer)[:500]}


def refusal(status: int, answer: Json) -> Exception:
    """The error that stands for a Status object.

    Args:
        status: HTTP status code, 400 or more.
        answer: the decoded body.
    """
    reason, message = str(answer.get("reason") or ""), str(answer.get("message") or "no message")
    if status == 404:
        return NotFound(status, reason, message)
    if status == 409:
        causes = (answer.get("details") or {}).get("causes") or []
        return Conflict(message, tuple(f"{c.get('field', '')}: {c.get('message', '')}" for c in causes))
    if status == 429 or status >= 500:
        return ApiUnavailable(f"{status} {reason}: {message}")
    return ApiError(status, reason, message)
