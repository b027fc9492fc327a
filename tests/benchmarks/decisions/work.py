"""One piece of work for a process: a few rollouts of one scenario, played by the engine, its variants or the peers."""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from analysis.peers.base import Peer, rollback_windows
from analysis.peers.panel import PANEL
from analysis.simulation.catalogue import scenario
from analysis.simulation.generate import simulate
from analysis.simulation.rollout import SimulatedRollout
from tests.benchmarks.decisions.engine import ABLATIONS, ENGINE, Masks, Noises, Variant, decide
from tests.benchmarks.decisions.learning import FRESH, known
from tests.benchmarks.decisions.settings import template

TUNED = " (tuned)"

Judges = Literal["engine", "ablations", "peers"]


@dataclass(frozen=True)
class Work:
    """Seeds of one scenario.

    Attributes:
        model: what was learned from the environment's history, as JSON.
        scales: of the tuned peers, by name.
        judges: who plays: the engine, all its variants, or the peers as they are and tuned.
    """

    scenario: str
    seeds: tuple[int, ...]
    model: bytes
    scales: tuple[tuple[str, float], ...]
    judges: Judges


@dataclass(frozen=True)
class Outcome:
    """What one judge did with one rollout.

    Attributes:
        windows: after which it rolled back; None where it did not.
        exposed: requests that users sent to the canary until then, or to the end.
        by: what the engine rolled back for.
    """

    scenario: str
    seed: int
    judge: str
    windows: int | None
    exposed: float
    by: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def done(work: Work) -> list[Outcome]:
    """Play the rollouts."""
    if work.judges == "peers":
        return [outcome for seed in work.seeds for outcome in _peers(work, seed)]
    noises, masks = _known(work.model)
    variants = ABLATIONS if work.judges == "ablations" else (ENGINE,)
    return [_engine(work, seed, variant, noises, masks) for seed in work.seeds for variant in variants]


@lru_cache(maxsize=32)
def _known(model: bytes) -> tuple[Noises, Masks]:
    return known(model)


def _engine(work: Work, seed: int, variant: Variant, noises: Noises, masks: Masks) -> Outcome:
    asked = scenario(work.scenario)
    rollout = simulate(seed, asked.world, asked.fault)
    decision = decide(rollout, template(), noises, masks, variant)
    return _outcome(work, rollout, variant.name, decision.windows, decision.by)


def _peers(work: Work, seed: int) -> list[Outcome]:
    """The peers get the fresh baseline pods that their authors ask for, and so a rollout of their own."""
    asked = scenario(work.scenario)
    rollout = simulate(seed, asked.world, asked.fault, FRESH)
    return [
        _outcome(work, rollout, name, rollback_windows(peer, rollout, scale))
        for name, peer, scale in _panel(work.scales)
    ]


@lru_cache(maxsize=4)
def _panel(scales: tuple[tuple[str, float], ...]) -> tuple[tuple[str, Peer, float], ...]:
    known_scales = dict(scales)
    usual = [(peer.name, peer, 1.0) for peer in PANEL]
    tuned = [(peer.name + TUNED, peer, known_scales[peer.name]) for peer in PANEL if peer.name in known_scales]
    return (*usual, *tuned)


def _outcome(work: Work, rollout: SimulatedRollout, judge: str, windows: int | None, by: str = "") -> Outcome:
    exposed = rollout.users_exposed(rollout.windows if windows is None else windows)
    return Outcome(work.scenario, rollout.seed, judge, windows, exposed, by)


def split(work: Work, size: int) -> list[Work]:
    """Return the same in pieces of some seeds."""
    return [replace(work, seeds=work.seeds[at : at + size]) for at in range(0, len(work.seeds), size)]
