"""What the operator tells of itself: structured logs, and metrics under Argo's names with ours beside them."""

import json
import logging
import sys
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_RESERVED = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with its extra fields."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _RESERVED and key[:1] != "_"}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, message and the object it is about."""
        about = getattr(record, "object", "")
        text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {about} {record.getMessage()}"
        return text + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


def set_up_logging(form: str, level: str) -> None:
    """Send all logs to standard error.

    Args:
        form: "json" or "text".
        level: the least level that is told.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp.access", "urllib3", "git", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns that signals are ours when it does not run in the main thread, which is what we want.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


class Metrics:
    """The operator's own metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "controller_clientset_k8s_request_total",
            "Requests to the API server.",
            ["verb", "kind", "status_code"],
            registry=self.registry,
        )
        self.turns = Histogram("coalmine_reconcile_seconds", "Duration of turns.", ["kind"], registry=self.registry)
        self.errors = Counter(
            "coalmine_reconcile_errors_total", "Turns that failed.", ["kind", "error"], registry=self.registry
        )
        self.actions = Counter("coalmine_actions_total", "Actions carried out.", ["action"], registry=self.registry)
        self.events = Counter("rollout_events_total", "Events told.", ["type", "reason"], registry=self.registry)
        self.leader = Gauge("coalmine_leader", "1 while this replica acts.", registry=self.registry)
        self.queue_depth = Gauge("workqueue_depth", "Keys that wait for a turn.", registry=self.registry)
        self.tasks = Gauge("coalmine_tasks", "Tasks of the loop that takes the turns.", registry=self.registry)
        ProcessCollector(registry=self.registry)
        self.cached = Gauge("coalmine_cached_objects", "Objects in the caches.", ["kind"], registry=self.registry)
        self.ghosts = Counter(
            "coalmine_swept_objects_total", "Missed deletions found by the sweep.", ["kind"], registry=self.registry
        )
        self.restarts = Counter("coalmine_watch_restarts_total", "Restarts of the watches.", registry=self.registry)

    def observe_request(self, verb: str, kind: str, status: int) -> None:
        """Count a request to the API server."""
        self.requests.labels(verb, kind, str(status)).inc()

    def count_action(self, action: str) -> None:
        """Count an action that is carried out."""
        self.actions.labels(action).inc()
