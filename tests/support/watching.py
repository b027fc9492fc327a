"""Reading a metric through the series layer: at once, look by look, and in any pieces."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.evidence.block import Block, Scale, block_of, block_windows
from analysis.evidence.metric_parts import scale_of
from analysis.evidence.table import ArmTable, Table, joined
from analysis.judge import MetricData
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.series.places import CANARY, STABLE
from analysis.series.raw import RawSeries
from analysis.series.watched import Watch, WatchedMetric

Roles = Mapping[str, Sequence[RawSeries]]


def rule(
    family: CountsRule | HistogramRule | GaugeRule, interval: float = 30.0, pod_label: str = "pod", delay: float = 0.0
) -> MetricRule:
    return MetricRule("m", interval, family, harm=0.1, pod_label=pod_label, initial_delay_seconds=delay)


def arm_of(pod: str) -> int | None:
    """The canary's pods begin with c, stable's with s."""
    return CANARY if pod.startswith("c") else STABLE if pod.startswith("s") else None


def cut(series: Sequence[RawSeries], start: float, end: float) -> list[RawSeries]:
    """What a metrics store answers for (start, end]."""
    found = []
    for one in series:
        inside = (one.times > start) & (one.times <= end)
        if inside.any():
            found.append(RawSeries(one.labels, one.times[inside], one.values[inside]))
    return found


class Reader:
    """Asks for what is new, and takes in finished blocks as a judge does."""

    def __init__(self, one: MetricRule, roles: Roles, started_at: float, warm_up: float = 0.0) -> None:
        self.rule, self.roles, self.warm_up = one, roles, warm_up
        self.metric = WatchedMetric(one, started_at, arm_of)
        self.running_from = 0
        self.blocks: list[Block] = []
        self.scale: Scale = scale_of(one)
        self.asked: list[tuple[float, float]] = []

    def look(self, now: float, starts: Mapping[str, tuple[float, ...]] | None = None) -> MetricData:
        for role, series in self.roles.items():
            since = self.metric.asks_from(role, "both", 60.0)
            self.asked.append((since, now))
            self.metric.add(role, "both", cut(series, since, now), now)
        data = self.metric.data(self.running_from, Watch(now, None, self.warm_up, starts or {}))
        self.take(data)
        return data

    def take(self, data: MetricData) -> None:
        size = block_windows(self.rule.interval_seconds)
        while self.running_from + size <= data.table.end:
            table = data.table.cut(self.running_from, self.running_from + size)
            self.blocks.append(block_of(table, self.scale))
            self.running_from += size
        self.metric.forget(self.running_from)


def whole(
    one: MetricRule,
    roles: Roles,
    now: float,
    started_at: float,
    warm_up: float = 0.0,
    starts: Mapping[str, tuple[float, ...]] | None = None,
) -> MetricData:
    """The windows of a run, read at once."""
    metric = WatchedMetric(one, started_at, arm_of)
    for role, series in roles.items():
        metric.add(role, "both", cut(series, started_at - 60.0, now), now)
    return metric.data(0, Watch(now, None, warm_up, starts or {}))


def same_blocks(some: Sequence[Block], others: Sequence[Block]) -> bool:
    """Whether blocks are equal bit for bit, also where an arm has nothing in them."""
    return len(some) == len(others) and all(
        _same_arm(getattr(a, arm), getattr(b, arm)) and a.first == b.first
        for a, b in zip(some, others, strict=True)
        for arm in ("canary", "stable")
    )


def _same_arm(a: object, b: object) -> bool:
    pods = getattr(a, "pods"), getattr(b, "pods")  # noqa: B009
    if pods[0] != pods[1]:
        return False
    return not pods[0] or (
        np.array_equal(getattr(a, "seconds"), getattr(b, "seconds"))  # noqa: B009
        and np.array_equal(getattr(a, "amounts"), getattr(b, "amounts"))  # noqa: B009
    )


__all__ = ["ArmTable", "Reader", "Table", "joined", "rule", "same_blocks", "whole"]
