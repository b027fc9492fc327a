"""Which rule of dryRun or measurementRetention speaks of a metric."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from analysis.patterns import MAX_NAME, compiled


class _NamesMetrics(Protocol):
    @property
    def metric_name(self) -> str: ...


Rule = TypeVar("Rule", bound=_NamesMetrics)


def first_match(rules: Iterable[Rule], name: str) -> Rule | None:
    """Return the first rule whose expression matches the whole name; raises ValueError for a bad expression.

    Argo searches unanchored, so that "error" also speaks of "error-rate-2"; here it does not.
    """
    short = name[:MAX_NAME]
    return next((rule for rule in rules if compiled(rule.metric_name).fullmatch(short)), None)
