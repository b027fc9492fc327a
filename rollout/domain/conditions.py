"""Writing conditions: the transition time moves with the status, the update time with anything at all."""

import msgspec

from rollout.api.meta import Condition
from rollout.domain.clock import rfc3339


def put(
    conditions: tuple[Condition, ...],
    new: Condition,
    now: float,
    generation: int,
    *,
    progressed: bool = False,
) -> tuple[Condition, ...]:
    """The conditions with `new` in place of its type.

    Args:
        conditions: what there was; their order is kept.
        new: the observation, without times.
        now: epoch seconds.
        generation: generation of the spec that was observed.
        progressed: move the update time even where the words stay the same (the progress deadline counts from it).
    """
    time = rfc3339(now)
    old = find(conditions, new.type)
    same = old is not None and (old.status, old.reason, old.message) == (new.status, new.reason, new.message)
    fresh = msgspec.structs.replace(
        new,
        last_transition_time=old.last_transition_time if old is not None and old.status == new.status else time,
        last_update_time=old.last_update_time if old is not None and same and not progressed else time,
        observed_generation=generation,
    )
    if old is None:
        return (*conditions, fresh)
    return tuple(fresh if c.type == new.type else c for c in conditions)


def find(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of a type."""
    return next((c for c in conditions if c.type == kind), None)


def drop(conditions: tuple[Condition, ...], kind: str) -> tuple[Condition, ...]:
    """The conditions without a type."""
    return tuple(c for c in conditions if c.type != kind)
