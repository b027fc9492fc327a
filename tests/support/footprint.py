"""What a process holds, as the system shows it."""

from dataclasses import dataclass
from pathlib import Path

IDLE_CONNECTIONS_MAX = 6
"""A pool may keep some more connections open after a busy time; a leak would be one a rollout."""


@dataclass(frozen=True)
class Footprint:
    """One process at one moment.

    Attributes:
        memory_kib: resident.
        threads, descriptors: how many.
        children: processes that it has started and that are there, zombies too.
        tasks: of its event loop, by its own metrics.
        cached, queued: objects and keys, by its own metrics.
    """

    memory_kib: int
    threads: int
    descriptors: int
    children: int
    tasks: int
    cached: int
    queued: int

    def leaves_nothing_of(self, before: "Footprint") -> bool:
        """Whether nothing that can be counted has become more."""
        mine = (self.descriptors, self.children, self.tasks, self.cached, self.queued)
        most = before.descriptors + IDLE_CONNECTIONS_MAX
        theirs = (most, before.children, before.tasks, before.cached, before.queued)
        return all(now <= then for now, then in zip(mine, theirs, strict=True))


def footprint(pid: int, metrics: dict[str, float]) -> Footprint:
    """Read a process of this machine.

    Args:
        pid: of the operator.
        metrics: what it exposes at the same time.
    """
    proc = Path(f"/proc/{pid}")
    lines = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    children = [child for task in (proc / "task").iterdir() for child in (task / "children").read_text().split()]
    cached = sum(value for name, value in metrics.items() if name.startswith("coalmine_cached_objects{"))
    return Footprint(
        memory_kib=int(lines["VmRSS"].split()[0]),
        threads=int(lines["Threads"]),
        descriptors=len(list((proc / "fd").iterdir())),
        children=len(children),
        tasks=int(metrics["coalmine_tasks"]),
        cached=int(cached),
        queued=int(metrics["workqueue_depth"]),
    )
