"""What is fetched for a comparison: a selector a role, for both arms at once or for each."""

from collections.abc import Mapping

from analysis.arguments import fill_selector
from analysis.comparison_spec import Comparison, CountsComparison, GaugeComparison, HistogramComparison
from analysis.errors import InvalidSpec
from analysis.patterns import MAX_POD_QUANTIFIERS, compiled
from analysis.run_spec import Arm, Arms
from analysis.series.places import CANARY, STABLE, ArmOf
from analysis.spec import Metric

_POD_NAME_MAX = 253

Key = tuple[str, str]
"""Role, and side: both, canary or stable."""


def selectors_of(metric: Metric, arms: Arms, namespace: str) -> Mapping[Key, str]:
    """Return the selectors of a metric whose arguments are filled in; raises InvalidSpec."""
    comparison = metric.comparison or Comparison()
    sides: dict[str, Arm | None] = {"both": None}
    if comparison.arms.by == "Query":
        sides = {"canary": arms.canary, "stable": arms.stable}
    found: dict[Key, str] = {}
    for role, (name, text) in _texts(comparison).items():
        for side, arm in sides.items() if text else ():
            field = f'metric "{metric.name}" comparison.{name}'
            found[role, side] = fill_selector(text, arms, field, namespace=namespace, arm=arm, arm_name=side)
    return found


def _texts(comparison: Comparison) -> Mapping[str, tuple[str, str]]:
    """Return the field and the text of each role."""
    match comparison:
        case Comparison(counts=CountsComparison(events=events, total=total)):
            return {"events": ("counts.events", events), "total": ("counts.total", total)}
        case Comparison(histogram=HistogramComparison(buckets=buckets)):
            return {"buckets": ("histogram.buckets", buckets)}
        case Comparison(gauge=GaugeComparison(type="Usage", query=query, load=load)):
            return {"used": ("gauge.query", query), "load": ("gauge.load", load)}
        case Comparison(gauge=GaugeComparison(query=query)):
            return {"value": ("gauge.query", query)}
    return {}


def sides_of(selectors: Mapping[Key, str]) -> tuple[str, ...]:
    """Return the sides that a metric is fetched for."""
    return tuple(dict.fromkeys(side for _, side in selectors))


def arm_of(arms: Arms) -> ArmOf:
    """Return what tells whose a pod is by its name; raises InvalidSpec where a pattern is none."""
    patterns = []
    for number, side, arm in ((CANARY, "canary", arms.canary), (STABLE, "stable", arms.stable)):
        try:
            patterns.append((number, compiled(arm.pods, MAX_POD_QUANTIFIERS).fullmatch))
        except ValueError as error:
            raise InvalidSpec(f"spec.comparison.arms.{side}.pods", str(error)) from error

    def whose(pod: str) -> int | None:
        return next((number for number, belongs in patterns if belongs(pod[:_POD_NAME_MAX])), None)

    return whose
