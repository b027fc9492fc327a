"""Argo's conditions: what a value says of a metric, by its success and failure conditions."""

import functools
from dataclasses import dataclass

from analysis.expr.evaluate import Evaluation
from analysis.expr.nodes import Node, Value
from analysis.expr.parser import parse as _parse
from analysis.expr.tokens import ExprError
from analysis.expr.types import check
from analysis.expr.values import type_name
from analysis.verdict import AnalysisPhase

__all__ = ["Assessment", "ExprError", "Value", "assess", "evaluate", "holds", "parse"]


@functools.lru_cache(maxsize=1024)
def parse(condition: str) -> Node:
    """Return the tree of a condition; raises ExprError where it cannot be read or its types never fit."""
    node = _parse(condition)
    check(node)
    return node


def evaluate(condition: str, result: Value) -> Value:
    """Return the value of an expression over `result`; raises ExprError."""
    return Evaluation(result).value(parse(condition))


def holds(condition: str, result: Value) -> bool:
    """Say whether a condition holds; raises ExprError, also where the value is no bool."""
    value = evaluate(condition, result)
    if not isinstance(value, bool):
        raise ExprError(f"expected bool, but got {type_name(value)}")
    return value


@dataclass(frozen=True)
class Assessment:
    """What a value says, and why where it says nothing good."""

    phase: AnalysisPhase
    message: str = ""


def assess(result: Value, success: str, failure: str) -> Assessment:
    """Return the phase of a measurement by Argo's truth table (utils/evaluate/evaluate.go).

    A failure condition that holds wins. With both conditions and neither holding, the measurement is
    Inconclusive; with only one, its opposite decides; with none, every value is a success.
    """
    try:
        failed = bool(failure) and holds(failure, result)
        succeeded = bool(success) and holds(success, result)
    except ExprError as error:
        empty = result is None or result in ([], "", {})
        hint = "metric result is nil or empty: no data returned; " if empty else ""
        return Assessment(AnalysisPhase.ERROR, f"{hint}{error}")
    if failed:
        return Assessment(AnalysisPhase.FAILED, f"failureCondition {failure!r} holds")
    if succeeded or not success:
        return Assessment(AnalysisPhase.SUCCESSFUL)
    if not failure:
        return Assessment(AnalysisPhase.FAILED, f"successCondition {success!r} does not hold")
    return Assessment(AnalysisPhase.INCONCLUSIVE, "neither successCondition nor failureCondition holds")
