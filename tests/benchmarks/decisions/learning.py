"""What the engine and the peers know before they judge: a model learned from history, and tuned thresholds."""

from collections.abc import Mapping

import msgspec

from analysis.durations import parse_duration
from analysis.evidence.table import Table
from analysis.failure_model_spec import FailureModelRef, FailureModelSpec
from analysis.model.learn.metrics import learn
from analysis.model.learn.warm_up import AGES_SECONDS, with_warm_ups
from analysis.model.noise import noises_of
from analysis.peers.base import Peer, tuned_scale
from analysis.rules import GROWTH_WARM_UP_SECONDS
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.generate import history, simulate
from analysis.simulation.rollout import SimulatedRollout
from analysis.simulation.schedule import Schedule
from tests.benchmarks.decisions.engine import Masks, Noises
from tests.benchmarks.decisions.settings import (
    HISTORY_SEEDS,
    HISTORY_SEGMENTS,
    SERIES,
    TUNING_ROLLOUTS,
    TUNING_SEEDS,
    WARM_UP_SECONDS,
    template,
)

_DIGESTS = {rule.name: f"sha256:{rule.name}" for rule in template().rules}
FRESH = Schedule(fresh_baseline=True)


def learned(environment: str) -> bytes:
    """Return the FailureModel of an environment, learned from pieces of ordinary days, as JSON."""
    world = ENVIRONMENTS[environment]
    offset = 1000 * list(ENVIRONMENTS).index(environment)
    segments = [history(HISTORY_SEEDS + offset + index, world) for index in range(HISTORY_SEGMENTS)]
    by_age = [{age: _tables(segment, age) for age in AGES_SECONDS} for segment in segments]
    metrics = learn([piece[WARM_UP_SECONDS] for piece in by_age], template().rules, _DIGESTS)
    metrics = with_warm_ups(metrics, template().rules, by_age)
    return msgspec.json.encode(FailureModelSpec(rollout_ref=FailureModelRef(name="sim"), window="30s", metrics=metrics))


def _tables(segment: SimulatedRollout, age_seconds: float) -> Mapping[str, Table]:
    tables = segment.tables_after(age_seconds)
    return {rule.name: tables[SERIES.get(rule.name, rule.name)] for rule in template().rules}


def known(model: bytes) -> tuple[Noises, Masks]:
    """Return the noise that a model gives the engine, and how long young pods do not count."""
    spec = msgspec.json.decode(model, type=FailureModelSpec)
    noises = noises_of(spec, template(), _DIGESTS, "sha256:model")
    return noises, masks_of(spec)


def masks_of(spec: FailureModelSpec) -> Masks:
    """Return the learned warm-up of each metric, at least the run's."""
    entries: Mapping[str, str] = {metric.name: metric.warm_up for metric in spec.metrics}
    masks = {}
    for rule in template().rules:
        text = entries.get(rule.name, "")
        least = GROWTH_WARM_UP_SECONDS if rule.is_growth else WARM_UP_SECONDS
        masks[rule.name] = max(parse_duration(text) if text else 0.0, least)
    return masks


def tuned(peer: Peer, rate: float) -> float:
    """Return the scale of a peer's thresholds at which it rolls back this share of healthy rollouts of the base."""
    world = ENVIRONMENTS["base"]
    return tuned_scale(
        peer, (simulate(TUNING_SEEDS + index, world, schedule=FRESH) for index in range(TUNING_ROLLOUTS)), rate
    )
