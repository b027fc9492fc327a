"""What a turn answers: actions, the status to publish, events to tell, and when to look again."""

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

StatusT = TypeVar("StatusT")


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the object of the turn."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision(Generic[StatusT]):
    """The answer of `decide(world, now)`. Actions are carried out in order, before the status is published.

    `wake_at` is an absolute time (epoch seconds): the earliest moment at which the answer may change by itself.
    """

    status: StatusT
    actions: tuple[Any, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    halted: bool = False
    """The rest of the turn has to see the effect of the actions first."""

    def then(self, later: "Decision[StatusT]") -> "Decision[StatusT]":
        """This decision, followed by a later stage of the same turn."""
        return Decision(
            later.status,
            self.actions + later.actions,
            self.events + later.events,
            earliest(self.wake_at, later.wake_at),
            later.halted,
        )


def earliest(*times: float | None) -> float | None:
    """The first of the times; None where there is none."""
    return min((t for t in times if t is not None), default=None)
