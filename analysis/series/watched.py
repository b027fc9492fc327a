"""One metric of a run: takes in what was fetched, gives windows, and forgets what is judged.

What a window shows is decided by the samples since the running block began, the one sample before them of each
series, what follows within two scrapes, and a few facts kept for good. So windows are the same whether a run is read
at once, look by look, or again after a restart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.evidence.table import ArmTable, Table
from analysis.judge import MetricData
from analysis.judgement import DataState
from analysis.rules import GROWTH_WARM_UP_SECONDS, CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.series.ages import Ages
from analysis.series.binned import Frame
from analysis.series.clock import IntArray, WindowClock, milliseconds
from analysis.series.families import Cells, Scene, counts
from analysis.series.gains import keep_states
from analysis.series.gauge import gauge
from analysis.series.histogram import Buckets, buckets_of, histogram, histogram_problems
from analysis.series.places import CANARY, NEVER, SIDES, STABLE, ArmOf, Places
from analysis.series.presence import Pace, Presence, scrape_ms
from analysis.series.raw import RawSeries
from analysis.series.roster import Roster
from analysis.series.samples import Samples
from analysis.series.usage import Waiting, usage

EMPTY_WINDOWS_MAX = 5
_PACE_WINDOWS = 4


@dataclass(frozen=True)
class Watch:
    """The moment of a look.

    Attributes:
        now: epoch seconds.
        traffic_from: epoch seconds when the canary first got traffic; None while it has none.
        warm_up_seconds: pods younger than this do not count.
        pod_starts: epoch seconds at which a pod's processes started, ascending, by pod name; pods may be missing.
    """

    now: float
    traffic_from: float | None
    warm_up_seconds: float
    pod_starts: Mapping[str, tuple[float, ...]]


def roles_of(rule: MetricRule) -> tuple[str, ...]:
    """Return the names of the selectors that a metric needs; the last one says how much there was."""
    match rule.family:
        case CountsRule(pod_seconds=True):
            return ("events",)
        case CountsRule():
            return ("events", "total")
        case HistogramRule():
            return ("buckets",)
        case GaugeRule(type="Usage"):
            return ("load", "used")
        case GaugeRule():
            return ("value",)


@dataclass(slots=True)
class _Known:
    """Facts that are kept for good.

    Attributes:
        pace_ms: time between scrapes, once enough of them were seen.
        fetched: until when each selector was fetched, in epoch seconds, by role and side.
        forgotten: windows that are forgotten.
        waiting: of a Usage, after the windows that are forgotten.
        watched: whether each arm was watched at all.
        odd: how many values of forgotten windows were odd, and of how many.
    """

    pace_ms: int | None = None
    fetched: dict[tuple[str, str], float] = field(default_factory=dict)
    forgotten: int = 0
    buckets: Buckets | None = None
    waiting: Waiting | None = None
    watched: list[bool] = field(default_factory=lambda: [False, False])
    odd: FloatArray = field(default_factory=lambda: np.zeros(2))


class WatchedMetric:
    """The windows of one metric.

    Args:
        rule: of the metric.
        started_at: epoch seconds of the run's start, where window 0 begins.
        arm_of: the arm that a pod's name belongs to, for selectors of both arms.
        sides: what each role is fetched for: `both`, or `canary` and `stable`, or `stable` alone of history.
    """

    def __init__(self, rule: MetricRule, started_at: float, arm_of: ArmOf, sides: tuple[str, ...] = ("both",)) -> None:
        self._rule, self._arm_of = rule, arm_of
        # History has no canary.
        self._arms = (STABLE,) if sides == ("stable",) else (CANARY, STABLE)
        self._clock = WindowClock.of(started_at, rule.interval_seconds)
        self._places = Places()
        by_bound = isinstance(rule.family, HistogramRule)
        self._samples = {
            role: Samples(self._clock, Roster(rule.pod_label, by_bound, self._places)) for role in roles_of(rule)
        }
        self._known = _Known(fetched={(role, side): -np.inf for role in self._samples for side in sides})
        self._pace = Pace.of(self._clock.interval_ms, self._clock.interval_ms)
        # What the last look found by window, from the first that is not forgotten on.
        self._after: list[Waiting] = []
        self._odd = np.zeros((0, 2))
        self._starts: Mapping[str, tuple[float, ...]] = {}
        self._ages_of: tuple[int, Pace, int] | None = None
        self._ages = Ages.of(self._places, self._clock, self._pace, {}, 0)

    def add(self, role: str, side: str, fetched: Iterable[RawSeries], until: float) -> None:
        """Take in an answer; answers may overlap.

        Args:
            role: of the selector.
            side: canary, stable, or both.
            fetched: raw series.
            until: epoch seconds up to which was asked.

        Raises:
            MeasurementError: a run would hold too much.
        """
        arm_of = self._arm_of if side == "both" else _always(SIDES.index(side))
        self._samples[role].add(fetched, side, arm_of)
        self._known.fetched[role, side] = max(self._known.fetched[role, side], until)

    @property
    def held(self) -> int:
        """How many samples are held."""
        return sum(samples.values.size for samples in self._samples.values())

    @property
    def fetched_until(self) -> float:
        """Epoch seconds up to which all selectors were fetched; minus infinity where one never was."""
        return min(self._known.fetched.values())

    def asks_from(self, role: str, side: str, lead_seconds: float) -> float:
        """Return the epoch second from which a selector is fetched next.

        Two scrapes that are known already are asked for again, since series come one after the other; more only of a
        store that shows samples later than that, up to where a lack of them is no data.
        """
        begin, until = self._clock.epoch_seconds(0) - lead_seconds, self._known.fetched[role, side]
        if until == -np.inf:
            return begin
        scrape, newest = self._pace.scrape_ms / 1000, self._newest
        late = self._patience_seconds if newest is None else until - newest + scrape
        return max(until - max(min(late, self._patience_seconds), 2 * scrape), begin)

    @property
    def _newest(self) -> float | None:
        """Epoch seconds up to which the store has shown how much there was; None where it has shown nothing."""
        last = min(int(self._samples[role].last.max()) for role in self._telling)
        return self._clock.epoch_seconds(last) if last != -NEVER else None

    @property
    def _telling(self) -> tuple[str, ...]:
        """The roles that say how much there was."""
        roles = roles_of(self._rule)
        return roles if roles[-1] == "used" else roles[-1:]

    @property
    def _patience_seconds(self) -> float:
        """Without samples for longer than this there are no data."""
        return EMPTY_WINDOWS_MAX * self._rule.interval_seconds + 2 * self._pace.scrape_ms / 1000

    def data(self, first_window: int, watch: Watch) -> MetricData:
        """Return the windows from one on that are complete: those older than two scrapes that a store has shown."""
        self._learn_pace(watch.now)
        scene = self._scene(watch)
        settled, raw, bounds = self._made(scene)
        table = self._table(settled, scene, bounds, first_window)
        with_young = table if raw is settled else self._table(raw, scene, bounds, first_window)
        for arm, table_of_arm in ((CANARY, table.canary), (STABLE, table.stable)):
            self._known.watched[arm] = self._known.watched[arm] or bool(table_of_arm.seconds.any())
        since = self._no_data_since(watch)
        watched = all(self._known.watched)
        state = DataState.COLLECTING if watched else DataState.WARMING_UP
        return MetricData(
            table=table,
            raw=with_young,
            state=state if since is None else DataState.NO_DATA,
            no_data_since=since,
            problems=(*self._problems(), *(self._missing() if since is not None else ())),
        )

    def forget(self, before_window: int) -> None:
        """Drop what only windows before one need; the caller has taken in those windows."""
        known, pace = self._known, self._pace
        done = before_window - known.forgotten
        if known.pace_ms is None or done <= 0:
            return
        cut = before_window * self._clock.interval_ms
        Presence.of(self._places, self._samples.values(), pace).keep(cut)
        for samples in self._samples.values():
            keep_states(samples, pace, self._widened_born(), cut)
            samples.forget(cut, cut - pace.gap_max_ms)
        known.waiting = self._after[done - 1] if 0 < done <= len(self._after) else None
        known.odd = known.odd + self._odd[:done].sum(axis=0)
        self._after, self._odd = self._after[done:], self._odd[done:]
        known.forgotten = before_window

    def _widened_born(self) -> IntArray:
        born = np.full(self._places.row.size, NEVER)
        born[: self._ages.born.size] = self._ages.born
        return born

    def _learn_pace(self, now: float) -> None:
        """Learn how often is scraped from the first windows with samples, once and for all."""
        if self._known.pace_ms is not None or not self._places.row.size:
            return
        first = int(self._places.first.min())
        until = first + _PACE_WINDOWS * self._clock.interval_ms
        scrape = scrape_ms(self._samples.values(), until) or self._clock.interval_ms
        self._pace = Pace.of(scrape, self._clock.interval_ms)
        if self._clock.since_start(now) >= until + 2 * scrape:
            self._known.pace_ms = scrape

    def _scene(self, watch: Watch) -> Scene:
        growth = isinstance(self._rule.family, GaugeRule) and self._rule.family.type == "Growth"
        warm_up = max(watch.warm_up_seconds, GROWTH_WARM_UP_SECONDS if growth else 0.0)
        ages = self._ages_at(watch.pod_starts, milliseconds(warm_up))
        until, newest = min(watch.now, self.fetched_until), self._newest
        whole = 0
        if newest is not None and np.isfinite(until):
            # A store may be slow: where the newest sample is old, windows wait for theirs.
            until = min(until, newest + self._pace.scrape_ms / 1000)
            whole = self._clock.windows_before(self._clock.since_start(until) - 2 * self._pace.scrape_ms)
        frame = Frame(
            self._clock,
            first=self._known.forgotten,
            windows=max(whole - self._known.forgotten, 0),
            rows=self._places.arm.size,
            counted_from=milliseconds(self._rule.initial_delay_seconds),
        )
        return Scene(self._samples, self._places, self._pace, ages, frame)

    @property
    def _counts_restarts(self) -> bool:
        """Events per second of pod life may be restarts: if each made its pod young, none would ever count."""
        return isinstance(self._rule.family, CountsRule) and self._rule.family.pod_seconds

    def _ages_at(self, pod_starts: Mapping[str, tuple[float, ...]], warm_up_ms: int) -> Ages:
        """Return the ages of pods, those of the last look where nothing changed."""
        basis = (hash(self._places.first.tobytes()), self._pace, warm_up_ms)
        if self._ages_of != basis or self._starts is not pod_starts:
            self._ages = Ages.of(
                self._places, self._clock, self._pace, pod_starts, warm_up_ms, by_process=not self._counts_restarts
            )
            self._ages_of, self._starts = basis, pod_starts
        return self._ages

    def _made(self, scene: Scene) -> tuple[Cells, Cells, tuple[float, ...]]:
        """Return the cells without young pods and with them, and the bounds of buckets in seconds."""
        family = self._rule.family
        match family:
            case CountsRule():
                return (*counts(scene, pod_seconds=family.pod_seconds), ())
            case HistogramRule():
                return self._histogram(scene, family)
            case GaugeRule(type="Usage"):
                settled, raw, self._after = usage(scene, self._known.waiting)
                return settled, raw, ()
            case GaugeRule():
                settled, raw, unfit = gauge(scene, family)
                self._odd = np.stack([unfit, np.zeros_like(unfit)], axis=1)
                return settled, raw, ()

    def _histogram(self, scene: Scene, rule: HistogramRule) -> tuple[Cells, Cells, tuple[float, ...]]:
        samples, frame = self._samples["buckets"], scene.frame
        if self._known.buckets is None:
            end = (frame.first + frame.windows) * self._clock.interval_ms
            self._known.buckets = buckets_of(samples, self._pace, end, self._arms)
        buckets = self._known.buckets
        if buckets is None or not buckets.usable:
            nothing = Cells(frame.empty(1)[:, :, 0], frame.empty(1))
            return nothing, nothing, ()
        samples.needed = buckets.bounds
        settled, raw, self._odd = histogram(scene, buckets)
        return settled, raw, tuple((buckets.bounds[:-1] * rule.unit_seconds).tolist())

    def _table(self, cells: Cells, scene: Scene, bounds: tuple[float, ...], first: int) -> Table:
        arms = []
        for names, lines in (self._lines(cells, arm) for arm in (CANARY, STABLE)):
            arms.append(ArmTable(names, cells.seconds[lines], cells.amounts[lines]))
        table = Table(arms[0], arms[1], scene.frame.first, self._rule.interval_seconds, bounds)
        return table.cut(first, table.end) if first > table.first else table

    def _lines(self, cells: Cells, arm: int) -> tuple[tuple[str, ...], list[int]]:
        """Return the names of an arm's lines, sorted, and where they are; later lives only where they are seen."""
        names, pods = self._places.names, self._places.arm.size
        rows = self._places.by_name[arm]
        found = [(names[row], row) for row in rows]
        for life in range(1, cells.seconds.shape[0] // max(pods, 1)):
            seen = (row + life * pods for row in rows)
            found += [(f"{names[line % pods]}#{life + 1}", line) for line in seen if cells.seconds[line].any()]
            found.sort()
        return tuple(name for name, _ in found), [line for _, line in found]

    def _no_data_since(self, watch: Watch) -> float | None:
        if watch.traffic_from is None:
            return None
        newest = [max(last, self._clock.since_start(watch.traffic_from)) for last in self._lasts()]
        last = min(watch.now, self._clock.epoch_seconds(min(newest)))
        return last if watch.now - last > self._patience_seconds else None

    def _lasts(self) -> list[int]:
        """Return the time of each arm's newest sample that says how much there was."""
        return [min(int(self._samples[role].last[arm]) for role in self._telling) for arm in (CANARY, STABLE)]

    def _missing(self) -> tuple[str, ...]:
        named = zip(("the canary", "stable"), self._lasts(), strict=True)
        empty = [name for name, last in named if last == -NEVER]
        if not empty:
            return ("samples stopped arriving: look at the metrics store and its targets",)
        return (f"no samples of {' and '.join(empty)} that are numbers: check the selector, and that pods are scraped",)

    def _problems(self) -> tuple[str, ...]:
        odd, whole = (self._known.odd + self._odd.sum(axis=0)).tolist()
        match self._rule.family:
            case HistogramRule():
                return tuple(histogram_problems(self._samples["buckets"], self._known.buckets, odd, whole))
            case GaugeRule(type="Level" | "Growth") if odd:
                return (_odd_values(odd, logit=self._rule.family.scale == "Logit"),)
        return ()


def _odd_values(count: float, *, logit: bool) -> str:
    outside, lack = ("between 0 and 1", "logit") if logit else ("above 0", "logarithm")
    return (
        f"{count:.0f} values of pods in a window are not {outside}, so they have no {lack} and do not count;"
        " where that is usual, compare Counts"
    )


def _always(arm: int) -> ArmOf:
    return lambda _pod: arm
