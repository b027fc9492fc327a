"""Placebo rollouts: stable pods of a piece of history pose as the canary. Nothing changed, so every alarm is false."""

from dataclasses import replace

import numpy as np

from analysis.errors import InvalidSpec
from analysis.simulation.fleet import ArmName
from analysis.simulation.rollout import SimulatedRollout
from analysis.simulation.schedule import Schedule


def placebo(segment: SimulatedRollout, schedule: Schedule, seed: int) -> SimulatedRollout:
    """Return a rollout cut from a piece of history.

    Random pods become the canary's when the schedule starts its pods; what they did before is dropped. Traffic does not
    follow the weights, since these pods had got their usual share.

    Raises:
        InvalidSpec: the segment is shorter than the schedule, or has too few pods.
    """
    starts = schedule.canary_starts(segment.window_seconds)
    weights = schedule.weights(segment.window_seconds)
    if weights.size > segment.windows:
        raise InvalidSpec("history", f"{segment.windows} windows are fewer than the schedule's {weights.size}")
    if len(starts) >= len(segment.pods):
        raise InvalidSpec(
            "history",
            f"{len(segment.pods)} stable pods cannot lend {len(starts)} to a placebo",
            "use fewer canary pods",
        )
    random = np.random.Generator(np.random.PCG64(seed))
    posing = random.permutation(len(segment.pods))[: len(starts)]
    return _posed(_shortened(segment, weights.size), posing, starts, schedule, seed)


def _posed(
    segment: SimulatedRollout, posing: np.ndarray, starts: tuple[int, ...], schedule: Schedule, seed: int
) -> SimulatedRollout:
    pods = list(segment.pods)
    begins = np.zeros(len(pods), dtype=np.int64)
    for row, start in zip(posing, starts, strict=True):
        pods[row] = replace(pods[row], arm=ArmName.CANARY)
        begins[row] = start
    shown = np.arange(segment.windows) >= begins[:, None]
    scraped = segment.scraped.kept(shown)
    return replace(
        segment,
        seed=seed,
        weights=schedule.weights(segment.window_seconds),
        step_starts=schedule.step_starts(segment.window_seconds),
        pods=tuple(pods),
        life=replace(segment.life, alive=segment.life.alive & shown, restarted=segment.life.restarted & shown),
        scraped=scraped,
        canary_requests=scraped.requests[posing].sum(axis=0),
    )


def _shortened(segment: SimulatedRollout, windows: int) -> SimulatedRollout:
    life, scraped = segment.life, segment.scraped
    return replace(
        segment,
        life=type(life)(**{name: value[:, :windows] for name, value in vars(life).items()}),
        scraped=type(scraped)(**{name: value[:, :windows] for name, value in vars(scraped).items()}),
        weights=segment.weights[:windows],
        canary_requests=segment.canary_requests[:windows],
    )
