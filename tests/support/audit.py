"""What the API server's audit log says was written, by whom, in which order; the embedded one's or a real one's."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rollout.sandbox.box import Sandbox

_READS = frozenset({"get", "list", "watch"})
_LOGS = ("apiserver/audit.log", "control-plane/audit.jsonl")


@dataclass(frozen=True)
class Write:
    """A write that the API server has accepted.

    Attributes:
        user: who wrote.
        verb, resource, namespace, name: what.
        at: when it was answered, in epoch seconds.
    """

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    at: float


def writes(box: Sandbox) -> list[Write]:
    """All accepted writes, in the order of their answers."""
    return [found for path in _files(box.folder) for line in path.read_text().splitlines() for found in _write(line)]


def _files(folder: Path) -> list[Path]:
    """The log and what was rotated out of it, oldest first."""
    (log,) = (folder / name for name in _LOGS if (folder / name).exists())
    return [*sorted(log.parent.glob(f"{log.name}.*"), reverse=True), log]


def _write(line: str) -> Iterator[Write]:
    if not line.endswith("}"):
        return  # It is being written.
    event = json.loads(line)
    accepted = (event.get("responseStatus") or {}).get("code", 500) < 400
    reference = event.get("objectRef") or {}
    if event["verb"] not in _READS and accepted and reference and event["stage"] == "ResponseComplete":
        yield Write(
            event["user"]["username"],
            event["verb"],
            "/".join(reference[key] for key in ("resource", "subresource") if reference.get(key)),
            reference.get("namespace", ""),
            reference.get("name", ""),
            datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
        )
