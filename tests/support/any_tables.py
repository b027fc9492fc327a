"""Strategies: runs of metrics of every family over any table that a store could give, hostile ones included."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from analysis.evidence.table import ArmTable, Table
from analysis.judgement import DataState, WeightChange
from analysis.rules import CountsRule, Direction, GaugeRule, HistogramRule, MetricRule
from tests.support.judging import START, WINDOW, Scenario, rules_of

BOUNDS = (0.05, 0.1, 0.25, 1.0)
_DIRECTIONS: tuple[Direction, ...] = ("Increase", "Decrease", "Either")
RULES = (
    MetricRule("errors", WINDOW, CountsRule(), 0.1, tolerance=1.0),
    MetricRule("guarded", WINDOW, CountsRule(min_difference=0.001, limit=0.2), 0.1, tolerance=0.5),
    MetricRule("restarts", WINDOW, CountsRule(pod_seconds=True), 0.5, tolerance=4.0),
    MetricRule("latency", WINDOW, HistogramRule(tails_seconds=(0.1, 0.25)), 0.03, tolerance=0.2),
    MetricRule("pool", WINDOW, GaugeRule("Level"), 0.05, tolerance=0.2),
    MetricRule("full", WINDOW, GaugeRule("Level", scale="Logit"), 0.05, tolerance=0.2),
    MetricRule("memory", WINDOW, GaugeRule("Growth"), 0.04, tolerance=0.2),
    MetricRule("cpu", WINDOW, GaugeRule("Usage", load=True), 0.05, tolerance=0.2),
)
_HOSTILE = (0.0, 0.0, 1.0, 2.0, 7.0, 1e-9, 0.5, 100.0, 1e6, 1e15)
_GAUGES = (*_HOSTILE, math.nan, math.nan, 0.3, 0.9)
_SECONDS = (0.0, WINDOW, WINDOW, WINDOW, 12.5, 1e-3)


def rules() -> st.SearchStrategy[MetricRule]:
    """Return a metric of any family and direction."""
    return st.builds(
        lambda rule, direction, dry: replace(rule, direction=direction, dry_run=dry),
        st.sampled_from(RULES),
        st.sampled_from(_DIRECTIONS),
        st.sampled_from([False, False, False, True]),
    )


@st.composite
def tables(draw: st.DrawFn, rule: MetricRule, windows: int) -> Table:
    """Return a table of any non-negative figures; gauges may lack some."""
    bounds = BOUNDS if isinstance(rule.family, HistogramRule) else ()
    is_gauge = isinstance(rule.family, GaugeRule) and rule.family.type != "Usage"
    columns = len(bounds) + 1 if bounds else 1 if is_gauge else 2

    palette = np.array(draw(st.lists(st.sampled_from(_GAUGES if is_gauge else _HOSTILE), min_size=1, max_size=4)))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))

    def arm(prefix: str) -> ArmTable:
        pods = draw(st.integers(0, 3))
        amounts = random.choice(palette, (pods, windows, columns)) * draw(st.sampled_from([1.0, 1.0, 3.0, 1e-6]))
        if isinstance(rule.family, CountsRule):
            # Events are some of the total.
            amounts[:, :, 0] = np.minimum(amounts[:, :, 0], amounts[:, :, 1])
        seconds = random.choice(draw(st.sampled_from([(WINDOW,), _SECONDS])), (pods, windows))
        return ArmTable(tuple(f"{prefix}-{i}" for i in range(pods)), seconds, amounts)

    return Table(arm("new"), arm("old"), 0, WINDOW, bounds)


@st.composite
def scenarios(draw: st.DrawFn, windows_max: int = 14) -> Scenario:
    """Return a run of up to three metrics, with weights that rise and fall."""
    chosen = draw(st.lists(rules(), min_size=1, max_size=3, unique_by=lambda rule: rule.name))
    windows = draw(st.integers(0, windows_max))
    moments = sorted(draw(st.lists(st.integers(0, 14 * int(WINDOW)), max_size=4, unique=True)))
    percents = draw(st.lists(st.sampled_from([0, 1, 10, 50, 100]), min_size=len(moments), max_size=len(moments)))
    weights = tuple(WeightChange(START + at, percent) for at, percent in zip(moments, percents, strict=True))
    return Scenario(
        rules_of(*chosen, increases=draw(st.integers(1, 3))),
        {rule.name: draw(tables(rule, windows)) for rule in chosen},
        draw(st.sampled_from([None, weights, weights])),
        states={rule.name: draw(st.sampled_from([*DataState, DataState.COLLECTING])) for rule in chosen},
        no_data_since=START,
        problems=("no samples",),
        guard=draw(st.sampled_from(["", "", "", "canary pods restarted 4 times, stable's 0"])),
    )
