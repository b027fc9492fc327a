"""The response of a watch."""

import contextlib
import time
from collections.abc import Iterable, Mapping

from aiohttp import web

from rollout.sandbox.apiserver.columns import COLUMNS
from rollout.sandbox.apiserver.errors import StatusError, bad_request, invalid
from rollout.sandbox.apiserver.reads import requested_form, selection
from rollout.sandbox.apiserver.requests import Target
from rollout.sandbox.apiserver.schema.validate import cause
from rollout.sandbox.apiserver.store import Change, ChangeType, Object, Store, encode_json
from rollout.sandbox.apiserver.table import columns_of, partial, table
from rollout.sandbox.apiserver.watch import Event, Watcher, WatchHub, initial, refuse_future, replay

MAX_SECONDS = 3600.0
INITIAL_END = {"k8s.io/initial-events-end": "true"}


class WatchStream:
    """Writes the events of one watch until its time is up or the client is gone."""

    def __init__(self, store: Store, target: Target, request: web.BaseRequest, bookmark_seconds: float) -> None:
        query = request.query
        self._store, self._selection, self._query = store, selection(target, query), query
        self._form = requested_form(request.headers.get("Accept", ""), query)
        self._bookmarks = query.get("allowWatchBookmarks") in {"true", "1"}
        self._bookmark_seconds = bookmark_seconds
        timeout = query.get("timeoutSeconds") or "0"
        if not timeout.isdigit():
            raise bad_request(f'invalid value for timeoutSeconds: "{timeout}"')
        self._seconds = min(float(timeout) or MAX_SECONDS, MAX_SECONDS)

    async def run(self, request: web.BaseRequest, hub: WatchHub) -> web.StreamResponse:
        """Stream. The start is read before the first await, so no change falls between."""
        watcher = Watcher(self._selection)
        response = web.StreamResponse(headers={"Content-Type": self._form.content_type, "Cache-Control": "no-cache"})
        response.enable_chunked_encoding()
        try:
            start = self._start()
        except StatusError as error:
            if error.code != 410:
                raise
            start, watcher.overflown = self._line("ERROR", error.status()), True
        hub.add(watcher)
        try:
            # A client that goes away is how most watches end.
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                if start:
                    await response.write(start)
                await self._follow(watcher, response)
                await response.write_eof()
        finally:
            hub.discard(watcher)
        return response

    def _start(self) -> bytes:
        version = self._query.get("resourceVersion") or ""
        streaming = self._query.get("sendInitialEvents") == "true"
        if version and not version.isdigit():
            raise bad_request(f'invalid resource version "{version}"')
        if streaming and self._query.get("resourceVersionMatch") != "NotOlderThan":
            words = "Forbidden: resourceVersionMatch must be NotOlderThan with sendInitialEvents"
            causes = [cause("FieldValueForbidden", "resourceVersionMatch", words)]
            raise invalid("meta.k8s.io", "ListOptions", "", causes)
        if streaming or version in {"", "0"}:
            refuse_future(self._store, int(version or 0))
            wanted = self._query.get("sendInitialEvents") != "false"
            events = self._encode(initial(self._store, self._selection) if wanted else ())
            end = self._bookmark(INITIAL_END) if streaming and self._bookmarks else b""
            return events + end
        return self._encode(replay(self._store, self._selection, int(version)))

    async def _follow(self, watcher: Watcher, response: web.StreamResponse) -> None:
        end = time.monotonic() + self._seconds
        marked = time.monotonic()
        while (left := end - time.monotonic()) > 0 and not watcher.overflown:
            pause = self._bookmark_seconds - (time.monotonic() - marked) if self._bookmarks else left
            await watcher.wait(max(0.0, min(left, pause)))
            events = watcher.take()
            if events:
                await response.write(self._encode(events))
            if self._bookmarks and time.monotonic() - marked >= self._bookmark_seconds:
                await response.write(self._bookmark({}))
                marked = time.monotonic()

    def _encode(self, events: Iterable[Event]) -> bytes:
        return b"".join(self._event(kind, change) for kind, change in events)

    def _event(self, kind: ChangeType, change: Change) -> bytes:
        obj = change.obj
        if kind == "DELETED" and change.type == "MODIFIED" and change.previous:
            # It left the selection: the client gets what it knew, at the revision at which it left.
            version = {"resourceVersion": change.obj["metadata"]["resourceVersion"]}
            obj = {**change.previous, "metadata": {**change.previous["metadata"], **version}}
        elif not self._form.kind:
            return b'{"type":"%s","object":%s}\n' % (kind.encode(), self._selection.encoded(change))
        return self._line(kind, self._formed(self._selection.shown(obj)))

    def _formed(self, obj: Object) -> Object:
        target = self._selection.target
        if self._form.kind == "Table":
            columns = columns_of(target.resource, target.version, COLUMNS)
            version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            return table([obj], columns, version, self._form.include)
        if self._form.kind:
            return partial(obj, f"meta.k8s.io/{self._form.version}")
        return obj

    def _bookmark(self, annotations: Mapping[str, str]) -> bytes:
        target: Target = self._selection.target
        metadata: Object = {"resourceVersion": str(self._store.revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = dict(annotations)
        head: Object = {"kind": target.resource.kind, "apiVersion": target.resource.api_version(target.version.name)}
        if self._form.kind == "Table":
            obj = {"kind": head["kind"], "apiVersion": head["apiVersion"], "metadata": metadata}
            row = {"cells": [], "object": obj}
            body: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": None,
                            "metadata": {"resourceVersion": metadata["resourceVersion"]}, "rows": [row]}  # fmt: skip
            return self._line("BOOKMARK", body)
        if self._form.kind:
            head = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{self._form.version}"}
        return self._line("BOOKMARK", {**head, "metadata": metadata})

    @staticmethod
    def _line(kind: str, obj: Object) -> bytes:
        return encode_json({"type": kind, "object": obj}) + b"\n"
