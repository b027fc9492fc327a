"""Tables as the series layer makes them, and the real judge over them, look by look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.evidence.metric_parts import MetricNoise, prior
from analysis.evidence.special import FloatArray
from analysis.evidence.table import ArmTable, Table
from analysis.judge import Facts, MetricData, Running, RunState, advance, begin_run, conclude
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.record import RunRecorder
from analysis.rules import MetricRule, RunRules

START = 1_800_000_000.0
WINDOW = 30.0


def arm(prefix: str, amounts: FloatArray, seconds: float | FloatArray = WINDOW) -> ArmTable:
    """Return an arm of (pods, windows, columns), each pod watched all the time unless `seconds` says otherwise."""
    watched = np.broadcast_to(np.asarray(seconds, dtype=np.float64), amounts.shape[:2]).copy()
    return ArmTable(tuple(f"{prefix}-{i:02}" for i in range(amounts.shape[0])), watched, amounts)


def table(canary: ArmTable, stable: ArmTable, bounds: tuple[float, ...] = (), interval: float = WINDOW) -> Table:
    """Return both arms from window 0 on."""
    return Table(canary, stable, 0, interval, bounds)


def steady(pods: tuple[int, int], windows: int, canary: Sequence[float], stable: Sequence[float]) -> Table:
    """Return a table in which every pod does the same in every window: a figure a column."""
    new = np.tile(np.asarray(canary, dtype=np.float64), (pods[0], windows, 1))
    old = np.tile(np.asarray(stable, dtype=np.float64), (pods[1], windows, 1))
    return table(arm("new", new), arm("old", old))


def rules_of(*rules: MetricRule, budget: float = 0.01, increases: int = 1) -> RunRules:
    """Return a run of some metrics."""
    return RunRules(budget, 180.0, increases, rules)


@dataclass(frozen=True)
class Scenario:
    """A run to be judged; metrics of different intervals may stand side by side."""

    rules: RunRules
    tables: Mapping[str, Table]
    weights: tuple[WeightChange, ...] | None = (WeightChange(START, 50),)
    noises: Mapping[str, MetricNoise] = field(default_factory=dict)
    raw: Mapping[str, Table] = field(default_factory=dict)
    states: Mapping[str, DataState] = field(default_factory=dict)
    no_data_since: float | None = None
    problems: tuple[str, ...] = ()
    guard: str = ""
    limit_raise: float = 0.0

    def begun(self) -> RunState:
        """Return the run before its first look."""
        noises = {rule.name: self.noises.get(rule.name) or prior(rule) for rule in self.rules.rules}
        return begin_run(self.rules, START, noises, self.limit_raise)

    def facts(self, elapsed: float) -> Facts:
        """Return what is known after so many seconds; of the weights only what is past."""
        past = None if self.weights is None else tuple(c for c in self.weights if c.at <= START + elapsed)
        return Facts(START + elapsed, past, self.guard)

    def data(self, state: RunState, elapsed: float) -> dict[str, MetricData]:
        """Return the windows that are complete, from each metric's running block on."""
        return {name: self._data(state, elapsed, name) for name in state.metrics}

    def _data(self, state: RunState, elapsed: float, name: str) -> MetricData:
        known, begins = self.tables[name], state.running_from(name)
        ends = max(min(int(elapsed / known.interval_seconds + 1e-9), known.end), begins)
        shown = self.states.get(name, DataState.COLLECTING)
        since = self.no_data_since if shown is DataState.NO_DATA else None
        problems = self.problems if since else ()
        raw = self.raw.get(name, known)
        return MetricData(known.cut(begins, ends), raw.cut(begins, ends), shown, since, problems)


@dataclass(frozen=True)
class Look:
    """One look: everything the judge had, and what it said."""

    state: RunState
    facts: Facts
    running: Mapping[str, Running]
    judgement: Judgement
    recorder: RunRecorder

    @property
    def record(self) -> bytes:
        """The record of the look."""
        return self.recorder.encode(self.state, self.facts, self.running)


def looks(scenario: Scenario, seconds: Sequence[float], state: RunState | None = None) -> Iterator[Look]:
    """Look at a run after so many seconds, each time at what is new."""
    state, recorder = state or scenario.begun(), RunRecorder()
    for elapsed in seconds:
        facts = scenario.facts(elapsed)
        state, running, finished = advance(state, facts, scenario.data(state, elapsed))
        recorder.add(finished)
        yield Look(state, facts, running, conclude(state, facts, running), recorder)


def judged(scenario: Scenario, seconds: Sequence[float]) -> Look:
    """Return the last of some looks."""
    return list(looks(scenario, seconds))[-1]
