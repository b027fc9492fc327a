"""What all peers answer, and how one is tuned to a rate of false rollbacks."""

import math
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from analysis.errors import InvalidSpec
from analysis.evidence.special import FloatArray
from analysis.peers.minutes import windows_a_point
from analysis.simulation.rollout import SimulatedRollout


class Peer(Protocol):
    """A judge that looks at a rollout every minute."""

    @property
    def name(self) -> str:
        """How tables call it."""
        ...

    def scales(self, rollout: SimulatedRollout) -> FloatArray:
        """Return how far its thresholds could be loosened so that it had still rolled back by the end of each minute.

        (minutes,), never falling. At 1 the thresholds are as the peer's users set them; it rolls back where the scale
        is at least 1. Minus infinity: nothing to roll back for at any threshold; infinity: it always would.
        """
        ...


def rollback_windows(peer: Peer, rollout: SimulatedRollout, scale: float = 1.0) -> int | None:
    """Return after how many windows a peer with its thresholds times `scale` rolls back, None where it never does."""
    crossed = np.flatnonzero(peer.scales(rollout) >= scale)
    return int(crossed[0] + 1) * windows_a_point(rollout.window_seconds) if crossed.size else None


def tuned_scale(peer: Peer, healthy: Iterable[SimulatedRollout], rate: float) -> float:
    """Return the smallest scale at which at most this share of healthy rollouts is rolled back.

    Rollouts to tune on must not be those that it is compared on. Infinite where no threshold reaches the rate.

    Raises:
        InvalidSpec: there are no rollouts, or the rate is not below 1.
    """
    largest = np.sort([float(peer.scales(rollout)[-1]) for rollout in healthy])[::-1]
    allowed = math.floor(rate * largest.size)
    if allowed >= largest.size:
        raise InvalidSpec("rate", f"{rate} of {largest.size} rollouts leaves none to tune on", "give healthy rollouts")
    return float(np.nextafter(largest[allowed], np.inf))
