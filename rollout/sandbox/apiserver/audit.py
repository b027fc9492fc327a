"""The audit log: one `audit.k8s.io/v1` Event a line, at level Metadata, in files of bounded size."""

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rollout.sandbox.apiserver.auth import User
from rollout.sandbox.apiserver.clock import micro_timestamp
from rollout.sandbox.apiserver.store import encode_json

MAX_BYTES = 16 * 1024 * 1024
KEPT_FILES = 3


@dataclass
class Record:
    """What is known about a request while it is served."""

    uri: str
    verb: str
    user_agent: str
    source: str
    user: User | None = None
    impersonated: User | None = None
    object_ref: dict[str, str] = field(default_factory=dict)
    code: int = 0
    reason: str = ""
    message: str = ""
    received: float = field(default_factory=time.time)

    def event(self) -> dict[str, Any]:
        """The audit event of the finished request."""
        status: dict[str, Any] = {"metadata": {}, "code": self.code}
        if self.reason:
            status |= {"status": "Failure", "reason": self.reason, "message": self.message}
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": str(uuid.uuid4()),
            "stage": "ResponseComplete",
            "requestURI": self.uri,
            "verb": self.verb,
            "user": self.user.info() if self.user else {},
            "sourceIPs": [self.source] if self.source else [],
            "userAgent": self.user_agent,
            "responseStatus": status,
            "requestReceivedTimestamp": micro_timestamp(self.received),
            "stageTimestamp": micro_timestamp(),
        }
        if self.impersonated:
            event["impersonatedUser"] = self.impersonated.info()
        return {**event, "objectRef": self.object_ref} if self.object_ref else event


class AuditLog:
    """Appends to `audit.log`; full files become `audit.log.1` and so on, of which a few are kept."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path, self._max_bytes = folder / "audit.log", max_bytes
        self._file: IO[bytes] = self._path.open("ab")
        self._size = self._path.stat().st_size

    def write(self, record: Record) -> None:
        line = encode_json(record.event()) + b"\n"
        if self._size + len(line) > self._max_bytes:
            self._rotate()
        self._file.write(line)
        self._file.flush()
        self._size += len(line)

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(KEPT_FILES - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))
        self._file, self._size = self._path.open("ab"), 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
