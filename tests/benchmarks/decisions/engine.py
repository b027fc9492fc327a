"""The engine on a simulated rollout, looked at every window, as it is and with one of its terms switched off."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from analysis.evidence import combined, metric_state
from analysis.evidence.guards import crash_loop
from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.noise import Noise
from analysis.judge import Facts, MetricData, advance, begin_run, conclude
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.rules import RunRules
from analysis.simulation.rollout import STARTED_AT, SimulatedRollout
from analysis.verdict import Verdict
from tests.benchmarks.decisions.settings import SERIES

Noises = Mapping[str, MetricNoise]
Masks = Mapping[str, float]
"""Seconds for which young pods do not count, by metric."""


@dataclass(frozen=True)
class Variant:
    """The engine with something switched off.

    Attributes:
        noise: what it is told of each pod's noise.
        windows_vary: whether rates vary more from window to window than counting explains. For means that is all the
            noise there is, and stays.
        mask: factor on the age below which pods do not count.
        starts: whether evidence begins again at each increase of the weight.
        block_windows: length of a block; None for the engine's own.
    """

    name: str
    noise: Callable[[Noise], Noise] = lambda noise: noise
    windows_vary: bool = True
    mask: float = 1.0
    starts: bool = True
    block_windows: int | None = None


COUNTED = ("errors", "latency", "restarts")
"""Metrics whose counts alone vary by chance."""

ENGINE = Variant("coalmine")
ABLATIONS = (
    ENGINE,
    Variant("no over-dispersion (omega 0)", windows_vary=False),
    Variant("no lasting difference of pods (tau 0)", noise=lambda noise: replace(noise, tau2=0.0)),
    Variant("neither", noise=lambda noise: replace(noise, tau2=0.0), windows_vary=False),
    Variant("no age mask", mask=0.0),
    Variant("no load model (use per unit of load)", noise=lambda noise: replace(noise, usage=noise.usage and (0, 1))),
    Variant("no load elasticity", noise=lambda noise: replace(noise, elasticity=0.0, elasticity_error=0.0)),
    Variant("no restarts at weight increases", starts=False),
    Variant("no blocks (single windows)", block_windows=1),
)


@dataclass(frozen=True)
class Decision:
    """After how many windows a judge rolled back (None: it did not), and by what."""

    windows: int | None
    by: str = ""


def decide(
    rollout: SimulatedRollout, rules: RunRules, noises: Noises, masks: Masks, variant: Variant = ENGINE
) -> Decision:
    """Play a rollout until the engine fails it, or to its end."""
    with _switched_off(variant):
        for windows, judgement in looks(rollout, rules, noises, masks, variant):
            if judgement.verdict is Verdict.FAIL:
                return Decision(windows, _culprit(judgement))
    return Decision(None)


def looks(
    rollout: SimulatedRollout, rules: RunRules, noises: Noises, masks: Masks, variant: Variant = ENGINE
) -> Iterator[tuple[int, Judgement]]:
    """Look at a rollout after every window."""
    if not variant.starts:
        rules = replace(rules, weight_increases=1)
    state = begin_run(rules, STARTED_AT, {name: _changed(name, noise, variant) for name, noise in noises.items()})
    weights = tuple(WeightChange(at, round(100 * share)) for at, share in rollout.weight_changes())
    tables = {
        rule.name: rollout.tables_after(variant.mask * masks[rule.name])[SERIES.get(rule.name, rule.name)]
        for rule in rules.rules
    }
    raw = {rule.name: rollout.raw[SERIES.get(rule.name, rule.name)] for rule in rules.rules}
    for windows in range(1, rollout.windows + 1):
        elapsed = windows * rollout.window_seconds
        at = STARTED_AT + elapsed
        facts = Facts(at, weights, crash_loop(*rollout.pods_seen(elapsed), at))
        data = {
            name: MetricData(
                table.cut(state.running_from(name), windows),
                raw[name].cut(state.running_from(name), windows),
                DataState.COLLECTING,
            )
            for name, table in tables.items()
        }
        state, running, _ = advance(state, facts, data)
        yield windows, conclude(state, facts, running)


def _changed(name: str, noise: MetricNoise, variant: Variant) -> MetricNoise:
    def changed(one: Noise) -> Noise:
        told = variant.noise(one)
        return told if variant.windows_vary or name not in COUNTED else replace(told, omega2=0.0)

    return replace(noise, main=changed(noise.main), tails={at: changed(tail) for at, tail in noise.tails.items()})


@contextmanager
def _switched_off(variant: Variant) -> Iterator[None]:
    """The length of a block is no setting of the product; an ablation changes it from outside."""
    if variant.block_windows is None:
        yield
        return
    original, length = metric_state.block_windows, variant.block_windows
    metric_state.block_windows = lambda _: length
    try:
        yield
    finally:
        metric_state.block_windows = original


def _culprit(judgement: Judgement) -> str:
    if any(metric.guard for metric in judgement.metrics):
        return "guard"
    parts = [(m.log_evidence, m.budget_share, m.name) for m in judgement.metrics]
    parts.append((judgement.log_combined, judgement.combined_share, "combined"))
    return max(parts, key=lambda part: combined.over_shares([part[0]], [part[1]]))[2]
