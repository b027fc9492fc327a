"""The operator's requests, as the audit log has them: kube-apiserver's and the embedded one's are alike."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

USER = "operator"
_LEASES, _EVENTS = "leases", "events"


@dataclass(frozen=True)
class Call:
    """One answered request: when it was answered (epoch seconds), and what it was about."""

    at: float
    verb: str
    resource: str
    name: str
    code: int


def calls(files: Iterable[Path], since: float, until: float = float("inf")) -> Iterator[Call]:
    """The operator's requests that were answered in a span of time, without watches, in no order."""
    mark = f'"{USER}"'.encode()
    for path in files:
        with path.open("rb") as lines:
            for line in lines:
                if mark in line and (call := _call(line)) is not None and since <= call.at < until:
                    yield call


def _call(line: bytes) -> Call | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None  # The last line may still be under way.
    user = event.get("user", {}).get("username")
    if event["stage"] != "ResponseComplete" or event["verb"] == "watch" or user != USER:
        return None
    about = event.get("objectRef") or {}
    resource = about.get("resource") or event["requestURI"].partition("?")[0]
    resource += f"/{about['subresource']}" if about.get("subresource") else ""
    at = datetime.fromisoformat(event["stageTimestamp"]).timestamp()
    return Call(at, event["verb"], resource, about.get("name", ""), event.get("responseStatus", {}).get("code", 0))


def counted(found: Iterable[Call]) -> Counter[str]:
    """Requests by verb and resource; the Lease's are left out."""
    return Counter(f"{call.verb} {call.resource}" for call in found if call.resource != _LEASES)


def without_events(counts: Counter[str]) -> int:
    """How many there were, Kubernetes Events left out."""
    return sum(number for what, number in counts.items() if what.rpartition(" ")[2] != _EVENTS)


def in_words(counts: Counter[str], each_of: int, most: int = 8) -> str:
    """The commonest kinds of requests, a rollout."""
    return ", ".join(f"{what} {number / each_of:.2f}" for what, number in counts.most_common(most))
