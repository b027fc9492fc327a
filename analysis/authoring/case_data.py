"""What a test of a template is played on: recorded series, or a simulated rollout behind the template's selectors."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.authoring.cases import Case, Duration, Simulated, TestFile, percent, seconds
from analysis.authoring.filled import Filled
from analysis.authoring.notation import parse_series
from analysis.authoring.selector import parse_selector
from analysis.errors import InvalidSpec, MeasurementError
from analysis.evidence.guards import PodSeen
from analysis.expr.nodes import Value
from analysis.judgement import WeightChange
from analysis.providers.base import SeriesProvider
from analysis.providers.prometheus import recorded_matrix
from analysis.providers.replay import ReplayProvider
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.run_spec import Arms
from analysis.selectors import selectors_of
from analysis.series.raw import RawSeries, labels_of
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.export import raw_series
from analysis.simulation.generate import simulate
from analysis.simulation.rollout import STARTED_AT, SimulatedRollout
from analysis.simulation.schedule import Schedule, Step
from analysis.simulation.world import Fault, World
from analysis.spec import Metric

ReadFile = Callable[[str], bytes]
"""The content of a file beside the file of tests."""
_BYTES_A_MEGABYTE = 1e6


@dataclass(frozen=True)
class CaseData:
    """One run to be judged.

    Attributes:
        weights: the timeline of the canary's weight.
        ends: epoch seconds of the last look.
        pods: what the API server shows at a moment, in epoch seconds.
    """

    provider: SeriesProvider
    weights: tuple[WeightChange, ...]
    ends: float
    pods: Callable[[float], Sequence[PodSeen]] = lambda _now: ()


class RecordedProvider:
    """Answers selectors from series, as Prometheus would."""

    def __init__(self, series: Sequence[RawSeries]) -> None:
        self._series = series

    async def measure(self, metric: Metric, now: float) -> Value:
        """Refuse: ordinary metrics are not compared."""
        del now
        raise MeasurementError(f'metric "{metric.name}" is no comparison')

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        """Return the samples in (start, end] of the series that the selector accepts."""
        wanted = parse_selector(selector, f'metric "{metric.name}"')
        found = []
        for one in self._series:
            inside = (one.times > start) & (one.times <= end)
            if bool(inside.any()) and wanted.accepts(dict(one.labels)):
                found.append(RawSeries(one.labels, one.times[inside], one.values[inside]))
        return tuple(found)


def recorded(file: TestFile, case: Case, field: str, read: ReadFile) -> CaseData:
    """Return what a case with series is played on.

    Times of a recorded file are moved so that the run starts at its first sample, less what `start` says.

    Raises:
        InvalidSpec: a series is none, or there are none.
    """
    start = seconds(file.start, "start", negative=True)
    interval = seconds(file.interval, "interval")
    series: list[RawSeries] = []
    for index, one in enumerate(case.series):
        place = f"{field}.series[{index}]"
        if one.file:
            series += _moved(_recorded(read(one.file), place), start)
        else:
            series.append(parse_series(one.series, one.values, STARTED_AT + start, interval, place))
    last = max((float(one.times[-1]) for one in series if one.times.size), default=STARTED_AT)
    weights = tuple(
        WeightChange(STARTED_AT + seconds(change.at, f"{field}.weights"), change.weight) for change in case.weights
    )
    return CaseData(RecordedProvider(series), weights, _ends(case.duration, last, field))


def _recorded(content: bytes, field: str) -> tuple[RawSeries, ...]:
    try:
        return recorded_matrix(content)
    except MeasurementError as error:
        raise InvalidSpec(field, str(error), "keep the JSON that /api/v1/query_range answers") from error


def _moved(series: Sequence[RawSeries], start: float) -> list[RawSeries]:
    first = min((float(one.times[0]) for one in series if one.times.size), default=0.0)
    return [RawSeries(one.labels, one.times - first + STARTED_AT + start, one.values) for one in series]


def _ends(duration: Duration | None, last: float, field: str) -> float:
    return last if duration is None else STARTED_AT + seconds(duration, f"{field}.duration")


def simulated(filled: Filled, arms: Arms, file: TestFile, case: Case, field: str, seed: int) -> CaseData:
    """Return what a simulated case is played on; raises InvalidSpec."""
    wanted = case.simulate or Simulated()
    place = f"{field}.simulate"
    rollout = simulate(seed, _world(wanted, place), _fault(wanted, place), _schedule(wanted, place), _window(filled))
    held: dict[str, tuple[RawSeries, ...]] = {}
    drawn = raw_series(rollout)
    for rule in filled.rules.rules:
        for (role, side), selector in selectors_of(filled.metric(rule.name), arms, file.namespace).items():
            held[selector] = tuple(_of_side(_series(rule, role, drawn), rule, side))
    changes = tuple(WeightChange(float(at), round(share * 100)) for at, share in rollout.weight_changes())
    last = STARTED_AT + rollout.windows * rollout.window_seconds
    return CaseData(ReplayProvider(held), changes, _ends(case.duration, last, field), _pods(rollout))


def _window(filled: Filled) -> float:
    return min(rule.interval_seconds for rule in filled.rules.rules)


def _pods(rollout: SimulatedRollout) -> Callable[[float], Sequence[PodSeen]]:
    def seen(now: float) -> Sequence[PodSeen]:
        canary, stable = rollout.pods_seen(now - STARTED_AT)
        return (*canary, *stable)

    return seen


def _series(rule: MetricRule, role: str, drawn: Mapping[str, tuple[RawSeries, ...]]) -> tuple[RawSeries, ...]:
    """Return which of the simulated series stand behind a selector."""
    match rule.family, role:
        case CountsRule(pod_seconds=True), _:
            return drawn["restarts"]
        case CountsRule(), "events":
            return drawn["errors"]
        case HistogramRule(unit_seconds=unit), _:
            return tuple(_in_unit(one, unit) for one in drawn["latency"])
        case GaugeRule(type="Usage"), "used":
            return drawn["cpu"]
        case GaugeRule(type="Level" | "Growth"), _:
            return drawn["memory"]
        case _:
            return drawn["requests"]


def _in_unit(series: RawSeries, unit_seconds: float) -> RawSeries:
    labels = dict(series.labels)
    if labels["le"] != "+Inf":
        labels["le"] = f"{float(labels['le']) / unit_seconds:g}"
    return RawSeries(labels_of(labels), series.times, series.values)


def _of_side(series: Sequence[RawSeries], rule: MetricRule, side: str) -> list[RawSeries]:
    """Return the series of one arm, or of both, with the pod's name where the template looks for it."""
    found = []
    for one in series:
        if side != "both" and not one.label("pod").startswith(side):
            continue
        labels = {(rule.pod_label or key) if key == "pod" else key: value for key, value in one.labels}
        found.append(RawSeries(labels_of(labels), one.times, one.values))
    return found


def _schedule(wanted: Simulated, field: str) -> Schedule:
    steps = []
    for index, step in enumerate(wanted.steps):
        place = f"{field}.steps[{index}]"
        if not 0 < step.weight < 100 or not 1 <= step.pods <= 100:
            raise InvalidSpec(place, "needs a weight between 0 and 100 and 1 to 100 pods")
        steps.append(Step(step.weight / 100, step.pods, seconds(step.duration, place)))
    pods = [step.canary_pods for step in steps]
    if not steps or pods != sorted(pods):
        raise InvalidSpec(f"{field}.steps", "needs steps whose pods never become fewer")
    if sum(step.seconds for step in steps) > 12 * 3600:
        raise InvalidSpec(f"{field}.steps", "last longer than 12 hours", "shorten them")
    return Schedule(tuple(steps))


def _world(wanted: Simulated, field: str) -> World:
    if wanted.environment not in ENVIRONMENTS:
        raise InvalidSpec(f"{field}.environment", "does not exist", f"one of {', '.join(ENVIRONMENTS)}")
    changes: dict[str, float | int | None] = {
        "requests_per_second": wanted.rps,
        "error_rate": None if wanted.error_rate is None else percent(wanted.error_rate, f"{field}.errorRate"),
        "latency_seconds": None if wanted.latency is None else seconds(wanted.latency, f"{field}.latency"),
        "latency_sigma": wanted.latency_sigma,
        "stable_pods": wanted.stable_pods,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    if not all(0 < value < 1e7 for name, value in given.items() if name != "error_rate"):
        raise InvalidSpec(field, "has a number that is not above 0", "write positive numbers")
    if given.get("stable_pods", 1) > 200 or given.get("error_rate", 0.0) > 1:
        raise InvalidSpec(field, "asks for more than 200 pods or 100% errors")
    return dataclasses.replace(ENVIRONMENTS[wanted.environment], **given)  # type: ignore[arg-type]


def _fault(wanted: Simulated, field: str) -> Fault:
    fault = Fault(
        errors=wanted.errors,
        latency=wanted.slower,
        cpu=wanted.cpu,
        memory=wanted.memory,
        tail_share=percent(wanted.tail_share, f"{field}.tailShare"),
        tail_factor=wanted.tail_slower,
        leak_bytes_per_minute=wanted.leak_megabytes_per_minute * _BYTES_A_MEGABYTE,
        restarts_per_pod_hour=wanted.restarts_per_pod_hour,
        from_seconds=seconds(wanted.since, f"{field}.since"),
    )
    factors = (fault.errors, fault.latency, fault.cpu, fault.memory, fault.tail_factor)
    if not all(np.isfinite(factor) and 0 < factor < 1e4 for factor in factors) or not 0 <= fault.tail_share <= 1:
        raise InvalidSpec(field, "has a factor that is not above 0", "2 is twice as much")
    return fault
