"""Windows do not depend on how samples arrive: in which order and pieces, once or twice, or after a restart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import MeasurementError
from analysis.evidence.table import ArmTable, Table
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.series.raw import RawSeries, labels_of
from analysis.series.watched import Watch, WatchedMetric
from tests.support.watching import Reader, arm_of, cut, rule, same_blocks, whole

INTERVAL = 10.0
SECONDS = 400
LEAD = 60.0
BOUNDS = ("0.1", "0.5", "2.5", "+Inf")
FAMILIES = {
    "counts": CountsRule(),
    "pod seconds": CountsRule(pod_seconds=True),
    "histogram": HistogramRule(),
    "level": GaugeRule(),
    "growth": GaugeRule(type="Growth"),
    "usage": GaugeRule(type="Usage", load=True),
}


@dataclass(frozen=True)
class Story:
    """Everything that pods show of one metric."""

    rule: MetricRule
    roles: Mapping[str, tuple[RawSeries, ...]]
    starts: Mapping[str, tuple[float, ...]]
    warm_up: float

    @property
    def end(self) -> float:
        return SECONDS + 100.0

    def at_once(self) -> Table:
        return whole(self.rule, self.roles, self.end, 0.0, self.warm_up, self.starts).table


def _series(
    random: np.random.Generator, pod: str, begins: float, ends: float, every: float, *, counter: bool, **labels: str
) -> RawSeries:
    """A series with missed scrapes, and with restarts where it is a counter."""
    times = np.arange(begins + random.uniform(0, every), ends, every)
    times = np.round(times[random.random(times.size) > 0.1], 3)
    gains = random.poisson(5.0, times.size) * random.choice([1.0, 0.37])
    values = np.cumsum(gains) + random.integers(0, 100)
    if counter and times.size and random.random() < 0.3:
        at = int(random.integers(0, times.size))
        values[at:] -= values[at] - gains[at]
    return RawSeries(labels_of({"pod": pod, **labels}), times, values if counter else gains + random.integers(0, 3))


def _pod(random: np.random.Generator, pod: str, role: str, every: float, life: tuple[float, float]) -> list[RawSeries]:
    if role == "buckets":
        whole_ = _series(random, pod, *life, every, counter=True)
        parts = np.sort(random.random((3, whole_.times.size)), axis=0)
        rows = [np.maximum.accumulate(np.floor(whole_.values * part)) for part in parts]
        rows.append(whole_.values)
        return [
            RawSeries(labels_of({"pod": pod, "le": le}), whole_.times, v) for le, v in zip(BOUNDS, rows, strict=True)
        ]
    counter = role != "value"
    begins, ends = life
    found = [_series(random, pod, begins, ends, every, counter=counter, path="/")]
    if random.random() < 0.5:
        late = random.uniform(begins, ends)
        found.append(_series(random, pod, late, ends, every, counter=counter, path="/late"))
    if random.random() < 0.3:
        # Scraped by two, the second one with what the first one shows.
        first = found[0]
        gone = first.times < random.uniform(begins, ends)
        found.append(RawSeries(labels_of({**dict(first.labels), "job": "b"}), first.times, first.values))
        found[0] = RawSeries(first.labels, first.times[gone], first.values[gone])
    if random.random() < 0.2:
        found.append(_series(random, pod, begins, ends, every, counter=counter, path="/", instance="other"))
    return found


@st.composite
def stories(draw: st.DrawFn, name: str | None = None) -> Story:
    family = FAMILIES[name or draw(st.sampled_from(sorted(FAMILIES)))]
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    one = rule(family, INTERVAL, delay=draw(st.sampled_from([0.0, 35.0])))
    every = draw(st.sampled_from([5.0, 10.0, 15.0]))
    roles: dict[str, list[RawSeries]] = {role: [] for role in _roles(one)}
    starts: dict[str, tuple[float, ...]] = {}
    for pod in ("c-1", "c-2", "s-1", "s-2", "s-3")[: draw(st.integers(2, 5))]:
        born = float(random.uniform(-200, SECONDS))
        life = max(born, -LEAD), float(random.uniform(max(born, 0), SECONDS + 100))
        for role in roles:
            roles[role] += _pod(random, pod, role, every, life)
        if random.random() < 0.7:
            starts[pod] = (born, *sorted(random.uniform(max(born, 0), SECONDS, random.integers(0, 2)).tolist()))
    return Story(one, {role: tuple(some) for role, some in roles.items()}, starts, draw(st.sampled_from([0.0, 45.0])))


def _roles(one: MetricRule) -> tuple[str, ...]:
    return tuple(WatchedMetric(one, 0.0, arm_of)._samples)


def same(a: Table, b: Table) -> bool:
    return a.bounds == b.bounds and all(_same_arm(getattr(a, arm), getattr(b, arm)) for arm in ("canary", "stable"))


def _same_arm(a: ArmTable, b: ArmTable) -> bool:
    equal = np.array_equal(a.seconds, b.seconds) and np.array_equal(a.amounts, b.amounts, equal_nan=True)
    return a.pods == b.pods and equal


def block_reader(story: Story) -> Reader:
    return Reader(story.rule, story.roles, 0.0, story.warm_up)


@settings(max_examples=40, deadline=None)
@given(stories(), st.lists(st.floats(0.0, SECONDS + 100.0), max_size=12), st.floats(7.0, 60.0))
def test_look_by_look_at_once_and_after_a_restart_are_the_same_bit_for_bit(
    story: Story, moments: list[float], every: float
) -> None:
    step_by_step = block_reader(story)
    for now in sorted([*moments, *np.arange(every, story.end, every)]):
        step_by_step.look(float(now), story.starts)
    step_by_step.look(story.end, story.starts)
    restarted = block_reader(story)
    for now in sorted([*moments, story.end]):
        restarted.look(float(now), story.starts)
    at_once = block_reader(story)
    last = at_once.look(story.end, story.starts)
    assert same_blocks(step_by_step.blocks, at_once.blocks)
    assert same_blocks(restarted.blocks, at_once.blocks)
    again = step_by_step.look(story.end, story.starts)
    assert same(
        again.table.cut(at_once.running_from, last.table.end), last.table.cut(at_once.running_from, last.table.end)
    ) or (again.table.canary.pods != last.table.canary.pods or again.table.stable.pods != last.table.stable.pods)
    assert again.state == last.state


@settings(max_examples=25, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_order_repetition_and_pieces_of_answers_change_nothing(story: Story, random: object) -> None:
    shuffle = getattr(random, "shuffle")  # noqa: B009
    metric = WatchedMetric(story.rule, 0.0, arm_of)
    for role, series in story.roles.items():
        pieces = [
            piece
            for one in cut(series, -LEAD, story.end)
            for piece in (one, RawSeries(one.labels, one.times[::2], one.values[::2]))
        ]
        shuffle(pieces)
        for piece in pieces:
            metric.add(role, "both", [piece], story.end)
        metric.add(role, "both", [], story.end)
    table = metric.data(0, Watch(story.end, None, story.warm_up, story.starts)).table
    assert same(table, story.at_once())


@settings(max_examples=25, deadline=None)
@given(stories("counts") | stories("usage") | stories("level"), st.sampled_from([2.0**-10, 4.0, 2.0**20]))
def test_a_change_of_units_changes_amounts_and_nothing_else(story: Story, factor: float) -> None:
    scaled = replace(
        story,
        roles={
            role: tuple(RawSeries(one.labels, one.times, one.values * factor) for one in some)
            for role, some in story.roles.items()
        },
    )
    before, after = story.at_once(), scaled.at_once()
    for arm in ("canary", "stable"):
        assert np.array_equal(getattr(before, arm).seconds, getattr(after, arm).seconds)
        assert np.array_equal(getattr(before, arm).amounts * factor, getattr(after, arm).amounts, equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(stories())
def test_nothing_is_negative_no_time_is_counted_twice_and_windows_are_those_that_are_over(story: Story) -> None:
    table = story.at_once()
    assert table.end * INTERVAL <= story.end
    for arm in (table.canary, table.stable):
        assert arm.pods == tuple(sorted(arm.pods))
        assert not (arm.amounts < 0).any()
        assert (arm.seconds >= 0).all()
        known = np.where(np.isnan(arm.amounts), 0.0, arm.amounts)
        assert np.isfinite(known).all()
        # A gap of missed scrapes belongs to the window that it ends, so only sums are bounded.
        assert (arm.seconds.sum(axis=1) <= SECONDS + 300).all()


@settings(max_examples=25, deadline=None)
@given(stories("counts"))
def test_totals_are_what_the_counters_gained_while_they_were_watched(story: Story) -> None:
    plain = replace(story, warm_up=0.0, rule=rule(CountsRule(), INTERVAL))
    found = sum(float(arm.amounts[:, :, 1].sum()) for arm in (plain.at_once().canary, plain.at_once().stable))
    most = sum(float(np.maximum(np.diff(one.values, prepend=0.0), one.values).sum()) for one in plain.roles["total"])
    assert found <= most


_TEXT = st.sampled_from(["c-1", "s-1", "x", "", "0.1", "+Inf", "NaN", "le", "pod", "\x1f", "\ud800", "9" * 400])
_NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -1.0, 1e308, -1e308, 1e18, 100.0, 110.0])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.lists(
        st.tuples(
            st.dictionaries(_TEXT, _TEXT, max_size=4),
            st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=8),
            st.floats(0, 400),
        ),
        max_size=12,
    ),
)
def test_whatever_a_store_answers_there_is_no_exception_but_the_declared_one(
    name: str, answers: list[tuple[dict[str, str], list[tuple[float, float]], float]]
) -> None:
    metric = WatchedMetric(rule(FAMILIES[name], INTERVAL), 0.0, arm_of)
    before = 0
    for labels, pairs, until in answers:
        pairs_ = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
        series = RawSeries(labels_of(labels), pairs_[:, 0], pairs_[:, 1])
        try:
            for role in metric._samples:
                metric.add(role, "both", [series], until)
        except MeasurementError:
            continue
        data = metric.data(before, Watch(until, 0.0, 30.0, {"c-1": (5.0,)}))
        for arm in (data.table.canary, data.table.stable):
            assert np.isfinite(arm.seconds).all()
            assert not np.isinf(arm.amounts).any()
        before = max(data.table.end - 1, before)
        metric.forget(before)


@pytest.mark.parametrize("count", [400])
def test_many_instances_cost_no_more_than_their_number(count: int) -> None:
    """The work of comparing series is bounded: what grew with the square of their number took seconds."""
    times = np.arange(-50.0, 300.0, 10.0)
    series = [
        RawSeries(labels_of({"instance": f"10.0.0.{index}", "pod": "s-1"}), times, times + 100 + index)
        for index in range(count)
    ]
    compared = _comparisons(series[: count // 2]), _comparisons(series)
    assert compared[1] <= 2 * compared[0] + 64


def _comparisons(series: list[RawSeries]) -> int:
    """How often two values were compared in Python."""
    from analysis.series import doubles

    calls = 0
    original = doubles._between

    def counting(value: float, before: float, after: float) -> bool:
        nonlocal calls
        calls += 1
        return original(value, before, after)

    doubles._between = counting
    try:
        whole(rule(CountsRule(pod_seconds=True), INTERVAL), {"events": series}, 320.0, 0.0)
    finally:
        doubles._between = original
    return calls
