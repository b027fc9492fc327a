"""Whether the selectors of a comparison tell the arms apart, and count what they say."""

from collections.abc import Iterator

from analysis.authoring.finding import Finding, error_of, warning
from analysis.authoring.selector import Selector, parse_selector
from analysis.comparison_spec import Comparison
from analysis.errors import InvalidSpec
from analysis.spec import Metric

_NOT_COUNTERS = ("_bucket", "_sum", "_ratio", "_info")


def roles(comparison: Comparison) -> dict[str, str]:
    """Return the selectors of a comparison by the field that has them, such as counts.events."""
    found: dict[str, str] = {}
    if comparison.counts is not None:
        found |= {"counts.events": comparison.counts.events, "counts.total": comparison.counts.total}
    if comparison.histogram is not None:
        found["histogram.buckets"] = comparison.histogram.buckets
    if comparison.gauge is not None:
        found |= {"gauge.query": comparison.gauge.query, "gauge.load": comparison.gauge.load}
    return {role: text for role, text in found.items() if text}


def selectors(metric: Metric) -> dict[str, Selector]:
    """Return the selectors of a metric that can be read, by their field."""
    found: dict[str, Selector] = {}
    for role, text in roles(metric.comparison or Comparison()).items():
        try:
            found[role] = parse_selector(text, role)
        except InvalidSpec:
            continue
    return found


def check_selectors(metric: Metric, place: str, pod_label: str) -> Iterator[Finding]:
    """Yield what is wrong with the selectors of a metric whose arguments are filled in.

    Args:
        metric: with a comparison.
        place: path of the comparison, for messages.
        pod_label: label that has the pod's name; empty where series carry none.
    """
    comparison = metric.comparison or Comparison()
    for role, text in roles(comparison).items():
        field = f"{place}.{role}"
        try:
            selector = parse_selector(text, field)
        except InvalidSpec as problem:
            yield error_of(problem)
            continue
        yield from _arms(comparison, selector, field, pod_label)
        yield from _kind(role, selector, field)
    yield from _same_arms(metric, place)
    yield from _total_covers_events(metric, place)


def _arms(comparison: Comparison, selector: Selector, field: str, pod_label: str) -> Iterator[Finding]:
    if comparison.arms.by == "Query":
        yield from _by_query(selector, field)
        return
    pods = [m for m in selector.matchers if "{{arms.pods}}" in m.value.replace(" ", "")]
    if not pods:
        yield error_of(InvalidSpec(field, "does not select the arms' pods", f'add {pod_label}=~"{{{{arms.pods}}}}"'))
    for matcher in pods:
        if matcher.operator != "=~":
            yield error_of(
                InvalidSpec(field, f"{{{{arms.pods}}}} stands behind {matcher.operator}", "it is an expression: use =~")
            )
        elif matcher.label != pod_label:
            problem = f"selects pods by {matcher.label} and tells the arms apart by {pod_label}"
            yield error_of(InvalidSpec(field, problem, f"write arms.podLabel: {matcher.label}"))
    if not any("{{arms.namespace}}" in m.value.replace(" ", "") for m in selector.matchers):
        yield warning(
            field, "takes pods of the same name in every namespace", 'add a namespace label ="{{arms.namespace}}"'
        )


def _by_query(selector: Selector, field: str) -> Iterator[Finding]:
    tags = [m for m in selector.matchers if "{{arm." in m.value.replace(" ", "")]
    if not tags:
        yield error_of(InvalidSpec(field, "selects the same for both arms", 'add hash="{{arm.podTemplateHash}}"'))
    for matcher in tags:
        if "{{arm.pods}}" in matcher.value.replace(" ", "") and matcher.operator != "=~":
            yield error_of(InvalidSpec(field, f"{{{{arm.pods}}}} stands behind {matcher.operator}", "use =~"))


def _kind(role: str, selector: Selector, field: str) -> Iterator[Finding]:
    name = selector.name
    if selector.of("le") and role == "histogram.buckets":
        yield error_of(InvalidSpec(field, "takes some buckets only", "remove the condition on le"))
    if role == "histogram.buckets" and name.endswith(("_sum", "_count")):
        yield error_of(InvalidSpec(field, f"{name} has no buckets", "name the _bucket series, or the native histogram"))
    if role.startswith("counts.") and name.endswith(_NOT_COUNTERS) and not selector.of("le"):
        yield warning(
            field, f"{name} looks like no counter of events", "name a counter, such as one that ends in _total"
        )
    if role == "gauge.query" and name.endswith(("_bucket", "_count")):
        yield warning(field, f"{name} looks like no gauge", "use counts or histogram")


def _same_arms(metric: Metric, place: str) -> Iterator[Finding]:
    """Both selectors of a ratio must select the arms in the same way, or it compares apples with pears."""
    by_role = {
        role: {(m.label, m.value) for m in selector.matchers if "{{arm" in m.value}
        for role, selector in selectors(metric).items()
    }
    if len({frozenset(arms) for arms in by_role.values()}) > 1:
        yield warning(place, f"{' and '.join(by_role)} select the arms differently", "use one way")


def _total_covers_events(metric: Metric, place: str) -> Iterator[Finding]:
    both = selectors(metric)
    events, total = both.get("counts.events"), both.get("counts.total")
    if events is None or total is None or not events.name or events.name != total.name:
        return
    more = {(m.label, m.operator, m.value) for m in total.matchers if "{{" not in m.value} - {
        (m.label, m.operator, m.value) for m in events.matchers
    }
    if more:
        labels = ", ".join(sorted({label for label, _, _ in more}))
        yield warning(
            f"{place}.counts.total", f"leaves out by {labels} what counts.events may count",
            "put the same conditions into both",
        )  # fmt: skip
    elif {(m.label, m.value) for m in events.matchers} == {(m.label, m.value) for m in total.matchers}:
        yield error_of(
            InvalidSpec(
                f"{place}.counts.events",
                "is the same as counts.total, so every request is an event",
                'add what makes it an event, such as code=~"5.."',
            )
        )
