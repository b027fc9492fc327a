"""The median release: what pods would show if nothing varied. The engine is played on it, so no formula is doubled."""

from dataclasses import dataclass

import numpy as np

from analysis.authoring.service import EVENTS_PER_POD_HOUR, IDLE_SHARE, Harm, PlannedStep, Service
from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.special import FloatArray
from analysis.evidence.table import ArmTable, Table
from analysis.rules import GROWTH_WARM_UP_SECONDS, CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.simulation.fleet import BoolArray
from analysis.simulation.normal import normal_cdf


@dataclass(frozen=True)
class Course:
    """How a rollout goes.

    Attributes:
        steps: the last one is held until the end.
        windows: number of windows.
        warm_up_seconds: younger pods do not count.
        harm: what the release does; None for a healthy one.
        harm_step: the step at whose beginning it shows.
    """

    service: Service
    steps: tuple[PlannedStep, ...]
    windows: int
    warm_up_seconds: float
    harm: Harm | None = None
    harm_step: int = 0

    def step_starts(self, interval_seconds: float) -> tuple[int, ...]:
        """Return the first window of each step."""
        lengths = [max(round(step.seconds / interval_seconds), 1) for step in self.steps[:-1]]
        return tuple(int(start) for start in np.cumsum([0, *lengths]))


@dataclass(frozen=True)
class _Arm:
    """Arrays of one arm: whether a pod lives and counts, (pods, windows), and its requests a second, (windows,)."""

    pods: tuple[str, ...]
    alive: FloatArray
    counts: FloatArray
    rates: FloatArray
    log_worse: FloatArray


def expected_table(rule: MetricRule, noise: MetricNoise, course: Course) -> Table:
    """Return the windows of one metric, its amounts being means (of counters not whole numbers).

    Args:
        rule: of the metric.
        noise: whose load elasticity and load model the service is taken to have.
        course: of the rollout.
    """
    canary, stable = _canary(rule, course), _stable(course)
    both = (canary, stable)
    return Table(
        canary=_arm_table(rule, noise, course, canary, both),
        stable=_arm_table(rule, noise, course, stable, both),
        first=0,
        interval_seconds=rule.interval_seconds,
        bounds=course.service.bounds if isinstance(rule.family, HistogramRule) else (),
    )


def _by_window(course: Course, values: list[float], interval_seconds: float) -> FloatArray:
    ends = [*course.step_starts(interval_seconds)[1:], course.windows]
    lengths = np.diff([0, *(min(end, course.windows) for end in ends)])
    return np.repeat(np.asarray(values, dtype=np.float64), lengths)


def _canary(rule: MetricRule, course: Course) -> _Arm:
    interval, starts = rule.interval_seconds, course.step_starts(rule.interval_seconds)
    born: list[int] = []
    for step, start in zip(course.steps, starts, strict=True):
        born += [start] * (step.canary_pods - len(born))
    age = (np.arange(course.windows)[None, :] - np.array(born)[:, None]) * interval
    rates = [course.service.requests_per_second * s.weight_percent / 100 / s.canary_pods for s in course.steps]
    warm_up = max(course.warm_up_seconds, GROWTH_WARM_UP_SECONDS if rule.is_growth else 0.0)
    scaled = _by_window(course, [float(s.canary_pods) for s in course.steps], interval)
    alive = np.arange(len(born))[:, None] < scaled[None, :]
    log_worse = course.harm.log(rule.direction) if course.harm else 0.0
    return _Arm(
        pods=tuple(f"canary-{index:03d}" for index in range(len(born))),
        alive=((age >= 0) & alive).astype(np.float64),
        counts=((age >= warm_up) & alive).astype(np.float64),
        rates=_by_window(course, rates, interval),
        log_worse=np.where(np.arange(course.windows) >= starts[course.harm_step], log_worse, 0.0),
    )


def _stable(course: Course) -> _Arm:
    service = course.service
    pods = tuple(f"stable-{index:03d}" for index in range(service.stable_pods))
    shape = (len(pods), course.windows)
    return _Arm(pods, np.ones(shape), np.ones(shape), np.zeros(course.windows), np.zeros(course.windows))


def _arm_table(rule: MetricRule, noise: MetricNoise, course: Course, arm: _Arm, both: tuple[_Arm, _Arm]) -> ArmTable:
    canary, stable = both
    pods_of_canary = _by_window(course, [float(s.canary_pods) for s in course.steps], rule.interval_seconds)
    left = course.service.requests_per_second - canary.rates * pods_of_canary
    stable_rates = np.maximum(left, 0.0) / len(stable.pods)
    rates = canary.rates if arm is canary else stable_rates
    with np.errstate(divide="ignore", invalid="ignore"):
        load = np.log(canary.rates / stable_rates) if arm is canary else np.zeros(course.windows)
    load = np.where(np.isfinite(load), load, 0.0)
    amounts = _amounts(rule, noise, course.service, _Windows(rates, load, arm.log_worse, rule.interval_seconds))
    late = np.arange(course.windows) * rule.interval_seconds >= rule.initial_delay_seconds
    counts, spread = arm.counts * late, np.repeat(amounts[None, :, :], len(arm.pods), axis=0)
    if not rule.pod_label:
        return _nameless(arm, spread, late, rule.interval_seconds)
    masked = np.where(counts[:, :, None] > 0, spread, np.nan if amounts.shape[1] == 1 else 0.0)
    return ArmTable(arm.pods, counts * rule.interval_seconds, masked)


def _nameless(arm: _Arm, spread: FloatArray, counted: BoolArray, interval_seconds: float) -> ArmTable:
    """Return what series without pods' names show: one row, whose youth nobody knows."""
    alive = arm.alive[:, :, None]
    whole = (spread * alive).sum(axis=0) if spread.shape[2] > 1 else spread[0]
    seconds = np.where(counted, interval_seconds, 0.0)
    unknown = np.nan if spread.shape[2] == 1 else 0.0
    return ArmTable(("",), seconds[None, :], np.where(counted[:, None], whole, unknown)[None, :, :])


@dataclass(frozen=True)
class _Windows:
    """Of one pod, (windows,): requests a second, log of its load over a stable pod's, u of the harm."""

    rates: FloatArray
    log_load: FloatArray
    log_worse: FloatArray
    interval_seconds: float

    @property
    def requests(self) -> FloatArray:
        return self.rates * self.interval_seconds


def _amounts(rule: MetricRule, noise: MetricNoise, service: Service, windows: _Windows) -> FloatArray:
    """Return (windows, columns) of one pod."""
    match rule.family:
        case CountsRule(pod_seconds=True):
            seconds = np.full(windows.rates.size, windows.interval_seconds)
            rate = EVENTS_PER_POD_HOUR / 3600 * np.exp(windows.log_worse)
            return np.stack([seconds * rate, seconds], axis=1)
        case CountsRule():
            grown = np.exp(windows.log_worse + noise.main.elasticity * windows.log_load)
            rate = np.minimum(service.error_rate_of(rule.name) * grown, 1.0)
            return np.stack([windows.requests * rate, windows.requests], axis=1)
        case HistogramRule():
            return _buckets(noise, service, windows)
        case GaugeRule(type="Usage"):
            return _usage(noise, service, windows)
        case GaugeRule():
            return _level(rule, windows)


def _buckets(noise: MetricNoise, service: Service, windows: _Windows) -> FloatArray:
    center = np.log(service.latency_seconds) + windows.log_worse + noise.main.elasticity * windows.log_load
    below = normal_cdf((np.log(service.bounds)[None, :] - center[:, None]) / service.latency_sigma)
    ends = np.concatenate([np.zeros((center.size, 1)), below, np.ones((center.size, 1))], axis=1)
    return np.asarray(np.diff(ends, axis=1) * windows.requests[:, None], dtype=np.float64)


def _usage(noise: MetricNoise, service: Service, windows: _Windows) -> FloatArray:
    usual = service.requests_per_second / service.stable_pods
    per_second, per_load = noise.main.usage or (IDLE_SHARE * usual, 1 - IDLE_SHARE)
    used = (per_second * windows.interval_seconds + per_load * windows.requests) * np.exp(windows.log_worse)
    return np.stack([used, windows.requests], axis=1)


def _level(rule: MetricRule, windows: _Windows) -> FloatArray:
    log_level = windows.log_worse
    if rule.is_growth:
        # A slope: what was lost before the harm began is none.
        log_level = np.cumsum(windows.log_worse) * windows.interval_seconds / 3600
    logit = isinstance(rule.family, GaugeRule) and rule.family.scale == "Logit"
    values = 1 / (1 + np.exp(-log_level)) if logit else np.exp(log_level)
    return np.asarray(values[:, None], dtype=np.float64)
