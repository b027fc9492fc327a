"""From templates to a run: flatten nested templates, merge arguments, build the spec of an AnalysisRun."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from analysis.background_spec import RolloutAnalysis, RolloutAnalysisBackground, RolloutArgument
from analysis.comparison_spec import ComparisonSettings
from analysis.errors import InvalidSpec
from analysis.names import first_match
from analysis.run_spec import (
    AnalysisRunSpec,
    Arms,
    PinnedFailureModel,
    RunComparison,
)
from analysis.spec import AnalysisTemplateSpec, Argument, DryRun, MeasurementRetention, Metric, TemplateRef

MAX_TEMPLATES = 100
MAX_METRICS = 100

FindTemplate = Callable[[TemplateRef], AnalysisTemplateSpec | None]
"""Looks a template up in the caches; None where it does not exist (yet)."""


class TemplateMissing(InvalidSpec):
    """A template that is referred to does not exist; it may still be created."""


@dataclass(frozen=True)
class FlatTemplate:
    """Templates without references."""

    metrics: tuple[Metric, ...]
    args: tuple[Argument, ...]
    dry_run: tuple[DryRun, ...]
    measurement_retention: tuple[MeasurementRetention, ...]


def flatten(refs: Sequence[TemplateRef], find: FindTemplate, field: str = "templates") -> FlatTemplate:
    """Return the contents of the templates and of those they refer to, each template once.

    Raises:
        TemplateMissing: a template does not exist.
        InvalidSpec: two metrics have one name, two templates give an argument different values, or the
            references are too many.
    """
    found: dict[TemplateRef, AnalysisTemplateSpec] = {}
    open_refs = [(ref, f"{field}[{index}]") for index, ref in enumerate(refs)]
    while open_refs:
        ref, path = open_refs.pop(0)
        if ref in found:
            continue
        spec = find(ref)
        if spec is None:
            kind = "ClusterAnalysisTemplate" if ref.cluster_scope else "AnalysisTemplate"
            raise TemplateMissing(path, f'{kind} "{ref.template_name}" does not exist', "create it or mend the name")
        found[ref] = spec
        if len(found) > MAX_TEMPLATES:
            raise InvalidSpec(field, f"more than {MAX_TEMPLATES} templates are included")
        nested = f"{path} ({ref.template_name}).templates"
        open_refs += [(child, f"{nested}[{i}]") for i, child in enumerate(spec.templates)]
    return _merged(tuple(found.values()), field)


def _merged(specs: tuple[AnalysisTemplateSpec, ...], field: str) -> FlatTemplate:
    metrics = tuple(metric for spec in specs for metric in spec.metrics)
    _refuse_twice([metric.name for metric in metrics], field, "metric")
    if len(metrics) > MAX_METRICS:
        raise InvalidSpec(field, f"more than {MAX_METRICS} metrics in one run")
    return FlatTemplate(
        metrics=metrics,
        args=_merged_args((arg for spec in specs for arg in spec.args), field),
        dry_run=_once(rule for spec in specs for rule in spec.dry_run),
        measurement_retention=_once(rule for spec in specs for rule in spec.measurement_retention),
    )


Rule = TypeVar("Rule", DryRun, MeasurementRetention)


def _once(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple({rule.metric_name: rule for rule in rules}.values())


def _refuse_twice(names: Sequence[str], field: str, what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidSpec(field, f'{what} "{twice[0]}" is declared twice', "rename or remove one of them")


def _merged_args(args: Iterable[Argument], field: str) -> tuple[Argument, ...]:
    merged: dict[str, Argument] = {}
    for arg in args:
        known = merged.get(arg.name)
        if known is None or not _has_value(known):
            merged[arg.name] = arg
        elif _has_value(arg) and arg != known:
            raise InvalidSpec(
                field, f'argument "{arg.name}" has different values in two templates', "give it one value"
            )
    return tuple(merged.values())


def _has_value(arg: Argument) -> bool:
    return arg.value is not None or arg.value_from is not None


def resolve_arguments(
    args: Sequence[RolloutArgument], *, latest_hash: str, stable_hash: str, rollout: Mapping[str, Any]
) -> tuple[Argument, ...]:
    """Return the values a Rollout gives to its analysis.

    Args:
        args: as the Rollout has them.
        latest_hash: pod-template-hash of the new ReplicaSet.
        stable_hash: of the stable one; empty on the first deployment.
        rollout: the live object, for valueFrom.fieldRef.

    Raises:
        InvalidSpec: an argument is given twice (Argo takes the last one silently, and queries without data
            follow), or has no value.
    """
    _refuse_twice([arg.name for arg in args], "args", "argument")
    resolved = []
    for index, arg in enumerate(args):
        value = arg.value
        source = arg.value_from
        if value is None and source is not None and source.pod_template_hash_value is not None:
            value = stable_hash if source.pod_template_hash_value == "Stable" else latest_hash
        elif value is None and source is not None and source.field_ref is not None:
            field = f"args[{index}].valueFrom.fieldRef.fieldPath"
            value = field_value(rollout, source.field_ref.field_path, field)
        resolved.append(Argument(name=arg.name, value=value))
    return tuple(resolved)


_STEP = re.compile(r"\.?([A-Za-z0-9_-]+)|\[['\"]([^'\"]+)['\"]\]|\[(\d+)\]")


def field_value(obj: Mapping[str, Any], path: str, field: str) -> str:
    """Return a field of an object as text, such as `metadata.labels['region']`; raises InvalidSpec."""
    at: Any = obj
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise InvalidSpec(field, f"{path!r} is no field path", "write it like metadata.labels['region']")
        position = step.end()
        name, place = step[1] or step[2], step[3]
        if isinstance(at, dict) and name in at:
            at = at[name]
        elif isinstance(at, list) and place is not None and int(place) < len(at):
            at = at[int(place)]
        else:
            raise InvalidSpec(field, f"the Rollout has no field {path}", "set it, or use another field")
    if isinstance(at, dict | list) or at is None:
        raise InvalidSpec(field, f"{path} of the Rollout is no single value", "name a field with one value")
    return str(at).lower() if isinstance(at, bool) else str(at)


def build_run(
    analysis: RolloutAnalysis,
    find: FindTemplate,
    *,
    args: Sequence[Argument] = (),
    arms: Arms | None = None,
    weight_increases: int = 1,
    failure_model_digest: str = "",
    progress_deadline_seconds: int | None = None,
) -> AnalysisRunSpec:
    """Return the spec of the AnalysisRun that a Rollout's analysis asks for.

    Args:
        analysis: a background analysis, or one of a step or of a promotion.
        find: looks templates up.
        args: the Rollout's values, from `resolve_arguments`.
        arms: both sides of the comparisons; only with a background analysis.
        weight_increases: how often the steps raise the canary's weight.
        failure_model_digest: digest of the model to pin, where one is named.
        progress_deadline_seconds: of a Rollout that aborts by it; None where no canary pod has to be ready in time.

    Raises:
        InvalidSpec: with the field and a remedy; TemplateMissing where a template may still come.
    """
    flat = flatten(analysis.templates, find)
    settings = analysis.comparison if isinstance(analysis, RolloutAnalysisBackground) else None
    background = isinstance(analysis, RolloutAnalysisBackground)
    compared = [metric.name for metric in flat.metrics if metric.comparison is not None]
    if compared and not background:
        raise InvalidSpec(
            "templates",
            f'metric "{compared[0]}" is a comparison',
            "comparisons run in the background: name the template under strategy.canary.analysis",
        )
    return AnalysisRunSpec(
        metrics=flat.metrics,
        args=_given(flat.args, args),
        dry_run=_once((*flat.dry_run, *analysis.dry_run)),
        measurement_retention=_once((*flat.measurement_retention, *analysis.measurement_retention)),
        comparison=_comparison(settings, arms, weight_increases, failure_model_digest, progress_deadline_seconds)
        if compared
        else None,
    )


def can_prove(run: AnalysisRunSpec) -> bool:
    """Return whether a run can ever give the proof that the step `verify` waits for: of some tolerance that acts."""
    return any(
        metric.comparison is not None
        and metric.comparison.tolerance is not None
        and first_match(run.dry_run, metric.name) is None
        for metric in run.metrics
    )


def _given(declared: Sequence[Argument], given: Sequence[Argument]) -> tuple[Argument, ...]:
    values = {arg.name: arg for arg in given if _has_value(arg)}
    merged = tuple(values.get(arg.name, arg) for arg in declared)
    missing = [arg.name for arg in merged if not _has_value(arg)]
    if missing:
        raise InvalidSpec("args", f'argument "{missing[0]}" has no value', "give it one under analysis.args")
    return merged


def _comparison(
    settings: ComparisonSettings | None,
    arms: Arms | None,
    weight_increases: int,
    digest: str,
    deadline_seconds: int | None,
) -> RunComparison:
    settings = settings or ComparisonSettings()
    reference = settings.failure_model_ref
    return RunComparison(
        false_rollback_budget=settings.false_rollback_budget or "1%",
        warm_up=settings.warm_up or "3m",
        weight_increases=max(weight_increases, 1),
        progress_deadline_seconds=deadline_seconds,
        failure_model=PinnedFailureModel(name=reference.name, digest=digest) if reference else None,
        arms=arms or Arms(),
    )
