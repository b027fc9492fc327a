"""Figures: what was measured, beside what it must be; as JSON, as a table, and against earlier ones."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Json = dict[str, Any]
Statistic = Literal["median", "p99", "max"]


@dataclass(frozen=True)
class Figure:
    """One thing that was measured.

    Attributes:
        name: the same in every run, whatever the machine.
        samples: one a repetition, or one an occurrence.
        target: what `statistic` of the samples may be at most; None: told for its own sake.
        peer: what another product needs, and where that number is from.
        note: what makes the number.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    target: float | None = None
    statistic: Statistic = "median"
    peer: str = ""
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def judged(self) -> float:
        """The statistic that the target is about."""
        if self.statistic == "median":
            return self.median
        return max(self.samples) if self.statistic == "max" else quantile(self.samples, 0.99)

    @property
    def missed(self) -> bool:
        return self.target is not None and self.judged > self.target

    def as_json(self) -> Json:
        """The fields, and what follows from them."""
        return {**asdict(self), "median": self.median, "judged": self.judged, "missed": self.missed}


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that so large a share of them does not exceed."""
    return sorted(samples)[max(math.ceil(share * len(samples)) - 1, 0)]


def of_json(value: Mapping[str, Any]) -> Figure:
    """The figure that `as_json` told."""
    kept = {name: value[name] for name in ("name", "unit", "target", "statistic", "peer", "note") if name in value}
    return Figure(samples=tuple(value["samples"]), **kept)


def table(figures: Sequence[Figure]) -> str:
    """A table in Markdown: median and spread, and the statistic that a target is about."""
    rows = ["| figure | unit | median | min to max | n | target | |", "|---|---|---|---|---|---|---|"]
    for one in figures:
        aim = "" if one.target is None else f"{one.statistic} {_short(one.judged)} <= {_short(one.target)}"
        mark = "" if one.target is None else ("**missed**" if one.missed else "met")
        beside = "; ".join(part for part in (one.peer, one.note) if part)
        spread = f"{_short(min(one.samples))} to {_short(max(one.samples))}"
        name = one.name + (f" ({beside})" if beside else "")
        cells = (name, one.unit, _short(one.median), spread, str(len(one.samples)), aim, mark)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def comparison(figures: Sequence[Figure], earlier: Sequence[Figure]) -> str:
    """What changed: a ratio of medians, marked where each median lies outside of the other's samples."""
    before = {one.name: one for one in earlier}
    rows = ["| figure | unit | before | now | ratio | |", "|---|---|---|---|---|---|"]
    for now in figures:
        was = before.pop(now.name, None)
        if was is None:
            rows.append(f"| {now.name} | {now.unit} | | {_short(now.median)} | | new |")
            continue
        ratio = f"{now.median / was.median:.2f}" if was.median else ""
        mark = "" if not changed(was, now) else ("**more**" if now.median > was.median else "**less**")
        rows.append(f"| {now.name} | {now.unit} | {_short(was.median)} | {_short(now.median)} | {ratio} | {mark} |")
    rows += [f"| {was.name} | {was.unit} | {_short(was.median)} | | | not measured |" for was in before.values()]
    return "\n".join(rows)


def changed(was: Figure, now: Figure) -> bool:
    """Whether each median lies beyond the other's spread."""
    beyond_old = not min(was.samples) <= now.median <= max(was.samples)
    return beyond_old and not min(now.samples) <= was.median <= max(now.samples)


def _short(value: float) -> str:
    """Three digits that count."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{min(digits, 4)}f}"
