"""How much is measured: everything, enough to see a trend, or enough to see that it runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Numbers of objects and of repetitions.

    Attributes:
        repeat: of what is one number a run.
        canaries: concurrent releases, growing.
        idle_seconds: how long an operator without work is watched.
        events: of each kind that are sent.
        failures: verdicts that are heard.
        starts: objects that exist when the operator starts, growing.
        files, applications, changes: of the repository that is synced.
    """

    repeat: int
    canaries: tuple[int, ...]
    pause_seconds: int
    idle_rollouts: int
    idle_seconds: float
    events: int
    failures: int
    starts: tuple[int, ...]
    files: int
    applications: int
    changes: int


FULL = Size(3, (200, 1000), 10, 1000, 30, 3000, 100, (1000, 2500, 5000, 10_000), 10_000, 200, 20)
MEDIUM = Size(1, (200,), 10, 200, 20, 600, 20, (250, 500), 10_000, 200, 5)
QUICK = Size(1, (3,), 1, 3, 2, 30, 2, (2, 4), 40, 3, 2)
SIZES = {"full": FULL, "medium": MEDIUM, "quick": QUICK}
