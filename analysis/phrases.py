"""Figures of a judgement in words: effects, intervals, data, odds. No numpy."""

import math
from collections.abc import Iterable

from analysis.judgement import ArmTotals, MetricJudgement, PartJudgement
from analysis.percent import format_decimal, format_percent

Judged = MetricJudgement | PartJudgement

_LOG_ODDS_MAX = math.log(1e12)
# Ratios of counts are known between these; the grid that they are looked for on ends there.
_RATIO_MIN, _RATIO_MAX = 1 / 24.5, 24.5
_GROWTH_SHOWN_MAX = 11.0
_SECONDS_AN_HOUR = 3600


def effect(judged: Judged, metric: MetricJudgement) -> str:
    """Return the effect with its interval; `judged` is the metric itself or one of its parts."""
    if judged.ratio is None or judged.lower is None or judged.upper is None:
        return "canary/stable unknown"
    if metric.family == "Growth":
        return (
            f"canary grows {an_hour(judged.ratio)} against stable"
            f" (95% interval {an_hour(judged.lower)} to {an_hour(judged.upper)})"
        )
    interval = _interval(judged.lower, judged.upper, is_count=metric.family in ("Counts", "Histogram"))
    return f"canary/stable {format_decimal(judged.ratio)}x (95% interval {interval})"


def _interval(lower: float, upper: float, *, is_count: bool) -> str:
    if is_count and upper >= _RATIO_MAX:
        return "anything" if lower <= _RATIO_MIN else f"{format_decimal(lower)} or more"
    if is_count and lower <= _RATIO_MIN:
        return f"{format_decimal(upper)} or less"
    return f"{format_decimal(lower)}-{format_decimal(upper)}"


def change(metric: MetricJudgement) -> str:
    """Return the effect alone, such as `1.2x`."""
    return _times(metric.ratio or 1.0, metric)


def an_hour(ratio: float) -> str:
    """Return what an hour multiplies by, as a change in percent."""
    if ratio > _GROWTH_SHOWN_MAX:
        return f"more than +{100 * (_GROWTH_SHOWN_MAX - 1):.0f}% an hour"
    return f"{100 * (ratio - 1):+.3g}% an hour"


def tolerated(metric: MetricJudgement) -> str:
    """Return what `verify` wants excluded, such as `50%`."""
    return format_percent(metric.tolerance or 0.0) + (" an hour" if metric.family == "Growth" else "")


def still_possible(metric: MetricJudgement) -> str:
    """Return how bad the first part that is not proven may still be, and what is tolerated."""
    part = next((part for part in metric.parts if not part.proven), None)
    judged: Judged = metric if part is None else part
    name = f"{metric.name} {part.label}" if part is not None and len(metric.parts) > 1 else metric.name
    if judged.upper is None or judged.lower is None:
        return f"{name} of any size ({_why_unknown(metric)})"
    tolerance = judged.tolerance or 0.0
    if metric.direction == "Decrease" or (metric.direction == "Either" and judged.upper < 1 + tolerance):
        return f"{name} down to {_times(judged.lower, metric)} (tolerated {_times(1 - tolerance, metric)})"
    return f"{name} up to {_times(judged.upper, metric)} (tolerated {_times(1 + tolerance, metric)})"


def _times(ratio: float, metric: MetricJudgement) -> str:
    return an_hour(ratio) if metric.family == "Growth" else f"{format_decimal(ratio)}x"


def _why_unknown(metric: MetricJudgement) -> str:
    if metric.family == "Growth":
        return "it was watched too shortly for a slope"
    if min(metric.canary.total, metric.stable.total) <= 0:
        return "nothing of it was counted in one of the arms"
    return "no event in either arm says anything" if metric.family == "Counts" else "too little was counted"


def odds(log_evidence: float) -> str:
    """Return evidence as odds to one, such as `137`; capped at 1e12."""
    return format_decimal(math.exp(min(log_evidence, _LOG_ODDS_MAX)))


def evidence(log_evidence: float) -> str:
    """Return evidence in words; odds below one to one speak for the canary."""
    return "no evidence of harm" if log_evidence <= 0 else f"evidence {odds(log_evidence)}:1"


def data(judged: Judged, metric: MetricJudgement) -> str:
    """Return what was counted in both arms."""
    if judged.canary.total <= 0 and judged.stable.total <= 0:
        return "nothing counted yet"
    has_events = judged.canary.events > 0 or judged.stable.events > 0
    words = [_arm(totals, metric, has_events=has_events) for totals in (judged.canary, judged.stable)]
    return f"canary {words[0]}, stable {words[1]}"


def _arm(totals: ArmTotals, metric: MetricJudgement, *, has_events: bool) -> str:
    events, total = format_decimal(totals.events), format_decimal(totals.total)
    if metric.family == "Usage":
        each = f" ({totals.events / totals.total:.3g} each)" if totals.total > 0 else ""
        return f"{events} used for a load of {total}{each}"
    if metric.family != "Counts" and not has_events:
        return f"{total} {metric.unit}"
    if metric.unit == "pod-seconds":
        rate = f" ({_SECONDS_AN_HOUR * totals.events / totals.total:.3g} an hour)" if totals.total > 0 else ""
        return f"{events} in {total} pod-seconds{rate}"
    rate = f" ({format_percent(totals.events / totals.total)})" if totals.total > 0 else ""
    return f"{events} of {total}{rate}"


def counted(number: int, noun: str) -> str:
    """Return how many there are of a noun whose plural ends in s, such as `1 contrast`, `2 contrasts`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(items: Iterable[str], room: int = 200) -> str:
    """Return items with commas between, as many as the room allows, and how many more there are."""
    all_of = list(items)
    shown: list[str] = []
    for item in all_of:
        if shown and len(", ".join([*shown, item])) > room:
            return f"{', '.join(shown)} and {len(all_of) - len(shown)} more"
        shown.append(short(item, room))
    return ", ".join(shown)


def short(text: str, room: int) -> str:
    """Return a text that fits."""
    return text if len(text) <= room else f"{text[: room - 3]}..."
