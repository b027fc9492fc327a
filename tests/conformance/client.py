"""A small, synchronous client for tests: it shows exactly what a server answers."""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    headers: Message


class Api:
    """One server, one user."""

    def __init__(self, url: str, token: str | None, ca_pem: str) -> None:
        parts = urlsplit(url)
        self.url, self.token, self.ca_pem = url, token, ca_pem
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._tls = ssl.create_default_context(cadata=ca_pem)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=TIMEOUT_SECONDS)
        content = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection.request(method, path, content, {**authorization, **headers})
        return connection

    def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **headers: str
    ) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named["Content-Type"] = content_type
        connection = self._send(method, path, body, named)
        try:
            response = connection.getresponse()
            text = response.read().decode()
            try:
                return Reply(response.status, json.loads(text), response.headers)
            except ValueError:
                return Reply(response.status, text, response.headers)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any) -> Reply:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any, content_type: str = MERGE) -> Reply:
        return self.call("PATCH", path, body, content_type)

    def delete(self, path: str, body: Any = None) -> Reply:
        return self.call("DELETE", path, body)

    def watch(self, path: str, until: Callable[[list[dict[str, Any]]], bool], **headers: str) -> list[dict[str, Any]]:
        """The events until the condition holds or the server ends the watch."""
        events: list[dict[str, Any]] = []
        connection = self._send("GET", path, None, headers)
        try:
            response = connection.getresponse()
            if response.status != 200:
                return [{"type": "HTTP", "status": response.status, "object": json.loads(response.read())}]
            while not until(events):
                line = response.readline()
                if not line:
                    break
                events.append(json.loads(line))
        finally:
            connection.close()
        return events

    def eventually(self, path: str, holds: Callable[[Reply], bool], seconds: float = 30.0) -> Reply:
        """Ask until the answer is right; the last answer either way."""
        end = time.monotonic() + seconds
        while True:
            reply = self.get(path)
            if holds(reply) or time.monotonic() > end:
                return reply
            time.sleep(0.05)
