"""Placebo releases: stable pods of a piece of history pose as the canary. Nothing changed, so every alarm is false."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analysis.errors import InvalidSpec
from analysis.evidence.table import ArmTable, Table
from analysis.judgement import WeightChange
from analysis.model.plan import Plan
from analysis.rules import GROWTH_WARM_UP_SECONDS, MetricRule, RunRules

BoolArray = npt.NDArray[np.bool_]
LIFE = "#"
"""A row of a later life of a pod is named after it, such as `pod#2`."""


@dataclass(frozen=True)
class Release:
    """A release that was cut from history, or played with a fault.

    Attributes:
        tables: by metric, without what a young pod would not show.
        raw: the same with the canary's first minutes.
        weights: the timeline, in seconds since the release's start.
        seconds: how long it takes.
    """

    tables: Mapping[str, Table]
    raw: Mapping[str, Table]
    weights: tuple[WeightChange, ...]
    seconds: float


def placebo(segment: Mapping[str, Table], rules: RunRules, plan: Plan, seed: int) -> Release:
    """Return a release of nothing.

    Random pods become the canary's when the plan starts its pods; what they did before is dropped, and their first
    minutes too, as those of young pods. Traffic does not follow the weights, since these pods got their usual share.

    Args:
        segment: a piece of history by metric, stable pods only.
        rules: of the run; metrics without history are left empty.
        plan: is shortened to the piece's length.
        seed: chooses the pods.

    Raises:
        InvalidSpec: the piece has no metric of the run, or too few pods.
    """
    known = {rule.name: segment[rule.name] for rule in rules.rules if rule.name in segment}
    if not known:
        raise InvalidSpec("history", "has none of the run's metrics", "read it with the metrics of the template")
    pods = sorted({_pod(row) for table in known.values() for row in table.stable.pods})
    plan = plan.shortened(min(table.windows * table.interval_seconds for table in known.values()))
    starts = plan.canary_starts(len(pods))
    if not starts:
        raise InvalidSpec("history", f"{len(pods)} pods cannot lend one to a placebo", "two pods are the least")
    random = np.random.Generator(np.random.PCG64(seed))
    posing = dict(zip((pods[index] for index in random.permutation(len(pods))), starts, strict=False))
    return Release(
        {rule.name: _posed(rule, known.get(rule.name), posing, _warm_up(rule, rules)) for rule in rules.rules},
        {rule.name: _posed(rule, known.get(rule.name), posing, 0.0) for rule in rules.rules},
        plan.weights(),
        plan.seconds,
    )


def _pod(row: str) -> str:
    return row.partition(LIFE)[0]


def _warm_up(rule: MetricRule, rules: RunRules) -> float:
    return max(rules.warm_up_seconds, GROWTH_WARM_UP_SECONDS if rule.is_growth else 0.0)


def _posed(rule: MetricRule, table: Table | None, posing: Mapping[str, float], warm_up_seconds: float) -> Table:
    if table is None:
        empty = ArmTable((), np.zeros((0, 0)), np.zeros((0, 0, 2)))
        return Table(empty, empty, 0, rule.interval_seconds)
    stable = table.stable
    rows = [index for index, row in enumerate(stable.pods) if _pod(row) in posing]
    first = np.array([posing[_pod(stable.pods[row])] + warm_up_seconds for row in rows])
    begins = np.ceil(first / table.interval_seconds - 1e-9)
    shown = np.arange(table.windows) >= begins[:, None] if rows else np.zeros((0, table.windows), dtype=np.bool_)
    others = [index for index in range(len(stable.pods)) if index not in set(rows)]
    return replace(table, canary=_shown(_rows(stable, rows), shown), stable=_rows(stable, others), first=0)


def _rows(arm: ArmTable, rows: Sequence[int]) -> ArmTable:
    return ArmTable(tuple(arm.pods[row] for row in rows), arm.seconds[list(rows)], arm.amounts[list(rows)])


def _shown(arm: ArmTable, shown: BoolArray) -> ArmTable:
    """Return only some windows; of a gauge the others are unknown, of a counter nothing happened in them."""
    unknown = math.nan if arm.amounts.shape[2] == 1 else 0.0
    return ArmTable(arm.pods, arm.seconds * shown, np.where(shown[:, :, None], arm.amounts, unknown))
