"""HTTP: who asks, what for, and the answer; every request ends in the audit log."""

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import yaml
from aiohttp import web

from rollout.sandbox.apiserver import auth, discovery, openapi, protobuf, reads, routing, scale, subresources
from rollout.sandbox.apiserver.audit import AuditLog, Record
from rollout.sandbox.apiserver.auth import Tokens
from rollout.sandbox.apiserver.convert import from_storage
from rollout.sandbox.apiserver.deleter import delete, delete_options
from rollout.sandbox.apiserver.errors import (
    StatusError,
    bad_request,
    method_not_allowed,
    not_found,
    too_large,
    unsupported_media_type,
)
from rollout.sandbox.apiserver.patcher import patch
from rollout.sandbox.apiserver.requests import Target, WriteOptions, write_options
from rollout.sandbox.apiserver.store import Object, encode_json
from rollout.sandbox.apiserver.streaming import WatchStream
from rollout.sandbox.apiserver.watch import WatchHub
from rollout.sandbox.apiserver.writer import Outcome, Writer

MAX_BODY_BYTES = 3 * 1024 * 1024
VERSION = {
    "major": "1", "minor": "36", "gitVersion": "v1.36.0-coalmine-sandbox", "gitCommit": "", "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "python", "platform": "linux/amd64",
    "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
}  # fmt: skip
ANONYMOUS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
_READ_VERBS = {"GET": "get", "HEAD": "get"}
_WRITE_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_REFUSED_TYPES = frozenset({"application/cbor", "application/apply-patch+cbor"})
_YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
LogHook = Callable[[str, str, Mapping[str, str]], Awaitable[bytes | None]]

logger = logging.getLogger(__name__)


class _YamlLoader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: moments stay text."""


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Service:
    """Answers requests from the parts.

    Args:
        writer: the way into the store.
        hub: for watches.
        tokens: who is known.
        audit: where requests are recorded.
        bookmark_seconds: between two bookmarks of a watch.
        log_hook: gives a pod's log: (namespace, name, query) -> text, None when there is none.
    """

    def __init__(
        self, writer: Writer, hub: WatchHub, tokens: Tokens, audit: AuditLog,
        *, bookmark_seconds: float = 30.0, log_hook: LogHook | None = None,
    ) -> None:  # fmt: skip
        self._writer, self._hub, self._tokens, self._audit = writer, hub, tokens, audit
        self._bookmark_seconds, self._log_hook = bookmark_seconds, log_hook
        self._documents = openapi.Documents(writer.registry)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        record = _record(request)
        try:
            response = await self._serve(request, record)
        except StatusError as error:
            response = _refusal(error, record)
        except web.HTTPRequestEntityTooLarge:
            response = _refusal(too_large(MAX_BODY_BYTES), record)
        except Exception:
            # A client must get an answer, and the server must live on; what happened is logged.
            logger.exception("request failed: %s %s", request.method, request.path)
            words = "Internal error occurred; see the server's log"
            response = _refusal(StatusError(500, "InternalError", words), record)
        record.code = response.status
        if request.path not in ANONYMOUS:
            self._audit.write(record)
        return response

    async def _serve(self, request: web.BaseRequest, record: Record) -> web.StreamResponse:
        if request.path in ANONYMOUS:
            return _json(VERSION) if request.path == "/version" else web.Response(text="ok")
        record.user = auth.authenticate(request.headers, self._tokens)
        name, groups = request.headers.get("Impersonate-User", ""), request.headers.getall("Impersonate-Group", [])
        record.impersonated = auth.impersonated(name, groups)
        path = routing.split(request.path)
        if path is None:
            return self._general(request)
        target = routing.locate(self._writer.registry, path)
        _describe(record, request, target)
        if request.method in _READ_VERBS:
            return await self._read(request, target)
        return await self._write(request, target, record)

    def _general(self, request: web.BaseRequest) -> web.Response:
        """What is no resource: discovery, OpenAPI documents, health."""
        if request.method not in _READ_VERBS:
            raise method_not_allowed()
        parts = [part for part in request.path.split("/") if part]
        match parts:
            case []:
                return _json({"paths": ["/api", "/apis", *sorted(ANONYMOUS), "/openapi/v3"]})
            case ["healthz" | "livez" | "readyz", *_]:
                return web.Response(text="ok")
            case ["openapi", "v2"]:
                return _json(openapi.minimal_v2())
            case ["openapi", "v3", *rest]:
                return _raw(self._documents.answer(rest))
            case ["api" | "apis" as root] if discovery.AGGREGATED in request.headers.get("Accept", ""):
                body = discovery.aggregated(self._writer.registry, core=root == "api")
                return _json(body, content_type=discovery.AGGREGATED_TYPE)
            case _:
                return _json(discovery.answer(self._writer.registry, parts))

    # Reading.

    async def _read(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        query = request.query
        if "get" not in target.resource.verbs:
            raise method_not_allowed()
        if target.subresource == "log":
            return await self._log(target, query)
        watching = query.get("watch") in {"true", "1"}
        if watching and not target.subresource:
            stream = WatchStream(self._writer.store, target, request, self._bookmark_seconds)
            return await stream.run(request, self._hub)
        form = reads.requested_form(request.headers.get("Accept", ""), query)
        if not target.name:
            return _raw(reads.many(self._writer.store, target, query, form), content_type=form.content_type)
        obj = self._writer.current(target)
        if target.subresource == "scale":
            return _json(scale.scale_of(target, obj))
        raw = reads.raw_one(self._writer.store, target, form)
        return _raw(raw or reads.one(target, obj, form), content_type=form.content_type)

    async def _log(self, target: Target, query: Mapping[str, str]) -> web.Response:
        self._writer.current(target)
        text = await self._log_hook(target.namespace, target.name, query) if self._log_hook else None
        if text is None:
            raise not_found("", "pods/log", target.name)
        return web.Response(body=text, content_type="text/plain")

    # Writing.

    async def _write(self, request: web.BaseRequest, target: Target, record: Record) -> web.StreamResponse:
        content_type, body = await _body(request)
        options = write_options(request.query, request.headers.get("User-Agent", ""))
        match request.method:
            case "POST":
                return self._post(target, body, options, record)
            case "PUT" if target.name:
                return self._put(target, body, options)
            case "PATCH" if target.name:
                if target.subresource == "scale":
                    return _json(scale.update_scale(self._writer, target, body, options, content_type))
                return _outcome(target, patch(self._writer, target, content_type, body, options))
            case "DELETE" if not target.subresource:
                return self._delete(request, target, body)
            case _:
                raise method_not_allowed()

    def _post(self, target: Target, body: Any, options: WriteOptions, record: Record) -> web.Response:
        resource, user = target.resource, record.impersonated or record.user
        if resource.verbs == ("create",) and user:
            answer = subresources.review(resource.kind, body, user, self._tokens)
            return _json({**answer, "apiVersion": resource.api_version(target.version.name)}, 201)
        match target.subresource:
            case "":
                if target.name or (resource.namespaced and not target.namespace):
                    raise method_not_allowed()
                return _outcome(target, self._writer.create(target, body, options))
            case "eviction":
                return _json(subresources.evict(self._writer, target, body, options), 201)
            case "binding":
                return _json(subresources.bind(self._writer, target, body, options), 201)
            case "token":
                return _json(subresources.request_token(self._writer, target, body, self._tokens), 201)
            case _:
                raise method_not_allowed()

    def _put(self, target: Target, body: Any, options: WriteOptions) -> web.Response:
        match target.subresource:
            case "scale":
                return _json(scale.update_scale(self._writer, target, body, options))
            case "finalize":
                return _json(subresources.finalize(self._writer, target, body))
            case "" | "status":
                return _outcome(target, self._writer.update(target, body, options))
            case _:
                raise method_not_allowed()

    def _delete(self, request: web.BaseRequest, target: Target, body: Any) -> web.Response:
        options = delete_options(body, dict(request.query))
        if not target.name:
            return self._delete_many(request, target, body)
        obj, gone = delete(self._writer, target, options)
        if not gone or target.resource.key == ("", "pods"):
            return _json(from_storage(target.resource, target.version, obj))
        details = {"name": target.name, "kind": target.resource.plural, "uid": obj["metadata"]["uid"]}
        if target.resource.group:
            details["group"] = target.resource.group
        success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return _json(success)

    def _delete_many(self, request: web.BaseRequest, target: Target, body: Any) -> web.Response:
        store, options = self._writer.store, delete_options(body, dict(request.query))
        chosen = reads.selection(target, request.query)
        listed = reads.many(store, target, request.query, reads.Form())
        for change in store.select(target.ref.resource, target.namespace):
            if chosen.holds(change.obj):
                one = Target(target.resource, target.version, change.ref.namespace, change.ref.name)
                with contextlib.suppress(StatusError):  # It may have gone together with an earlier one.
                    delete(self._writer, one, options)
        return _raw(listed)


async def _body(request: web.BaseRequest) -> tuple[str, Any]:
    """Content type and decoded body; None when there is none."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    content = await request.read()
    if not content:
        return content_type, None
    if content_type == protobuf.CONTENT_TYPE:
        return "application/json", protobuf.decode(content)
    if content_type in _REFUSED_TYPES:
        raise unsupported_media_type(["application/json", "application/yaml"])
    try:
        if content_type in _YAML_TYPES:
            return content_type, yaml.load(content, _YamlLoader)  # noqa: S506  a SafeLoader without moments
        return content_type, msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if content_type == "application/apply-patch+yaml":
            return content_type, _yaml(content)
        raise bad_request(f"unable to parse the request's body: {error}") from error
    except yaml.YAMLError as error:
        raise bad_request(f"unable to parse the request's body: {error}") from error


def _yaml(content: bytes) -> Any:
    try:
        return yaml.load(content, _YamlLoader)  # noqa: S506  a SafeLoader without moments
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from error


def _record(request: web.BaseRequest) -> Record:
    agent = request.headers.get("User-Agent", "")
    return Record(request.path_qs, request.method.lower(), agent, request.remote or "", received=time.time())


def _refusal(error: StatusError, record: Record) -> web.Response:
    record.reason, record.message = error.reason, error.message
    return _json(error.status(), error.code)


def _describe(record: Record, request: web.BaseRequest, target: Target) -> None:
    """The verb and object of a resource request, in the audit log's words."""
    resource = target.resource
    if request.method in _READ_VERBS:
        watching = request.query.get("watch") in {"true", "1"}
        record.verb = "watch" if watching else "get" if target.name else "list"
    else:
        record.verb = _WRITE_VERBS.get(request.method, request.method.lower())
        if record.verb == "delete" and not target.name:
            record.verb = "deletecollection"
    found = {
        "resource": resource.plural, "namespace": target.namespace, "name": target.name,
        "apiGroup": resource.group, "apiVersion": target.version.name, "subresource": target.subresource,
    }  # fmt: skip
    record.object_ref = {key: value for key, value in found.items() if value}


def _outcome(target: Target, outcome: Outcome) -> web.Response:
    response = _json(from_storage(target.resource, target.version, outcome.obj), 201 if outcome.created else 200)
    for warning in outcome.warnings:
        text = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{text}"')
    return response


def _json(body: Object, status: int = 200, content_type: str = "application/json") -> web.Response:
    return _raw(encode_json(body), status, content_type)


def _raw(body: bytes, status: int = 200, content_type: str = "application/json") -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": content_type})
