"""All that can be known of a template before its first run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from analysis.authoring.arms import check_selectors
from analysis.authoring.budget import Share, budget_shares
from analysis.authoring.filled import Filled, fill
from analysis.authoring.finding import Finding, Severity, error_of, warning
from analysis.authoring.plan import Planner
from analysis.authoring.service import PlannedStep, Service
from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import MetricNoise, prior
from analysis.names import first_match
from analysis.percent import format_percent
from analysis.rules import CountsRule, HistogramRule, MetricRule, RunRules
from analysis.spec import AnalysisTemplateSpec, Argument, TemplateRef
from analysis.template import FindTemplate, TemplateMissing
from analysis.validate import validate_metric, validate_template

# Traffic is no question here: only what differs between pods remains.
_MUCH_TRAFFIC = 1e5
_ERROR_RATE = 0.01
STABLE_PODS = 10
_PLACEHOLDER = "placeholder"


NoisesOf = Callable[[Filled], Mapping[str, MetricNoise]]


def prior_noises(filled: Filled) -> Mapping[str, MetricNoise]:
    """Return the noise that holds without a FailureModel."""
    return {rule.name: prior(rule) for rule in filled.rules.rules}


@dataclass(frozen=True)
class Linted:
    """What lint knows of one template.

    Attributes:
        shares: of the budget; empty where the template cannot be filled in.
        filled: the template as a run would have it; None where it cannot be.
    """

    findings: tuple[Finding, ...]
    shares: tuple[Share, ...] = ()
    filled: Filled | None = None


def lint(
    spec: AnalysisTemplateSpec,
    ref: TemplateRef,
    find: FindTemplate,
    args: Mapping[str, str],
    stable_pods: int = STABLE_PODS,
    noises: NoisesOf = prior_noises,
) -> Linted:
    """Return everything that is wrong with a template, its includes taken in.

    Args:
        spec: of the template.
        ref: its own name, by which `find` gives it.
        find: looks templates up.
        args: values that a Rollout would give.
        stable_pods: pods of stable; a canary has that many at most.
        noises: what is known of the noise of the template's metrics.
    """
    first = (*(error_of(problem) for problem in validate_template(spec)), *_arguments(spec, args))
    placeholders = _placeholders(spec, find, ref, args)
    try:
        filled = fill((ref,), find, {**placeholders, **args})
    except TemplateMissing as missing:
        return Linted((*first, warning(missing.field, missing.problem, "give its file too, to have it checked")))
    except InvalidSpec as problem:
        # What is wrong with the template itself was told, and names the place.
        more = () if any(one.severity is Severity.ERROR for one in first) else (_unfilled(problem, placeholders),)
        return Linted((*first, *more))
    found = [*first, *_filled(spec, filled), *_patterns(spec, filled)]
    if not any(finding.severity is Severity.ERROR for finding in found):
        found += provable(filled.rules, stable_pods, noises(filled))
    return Linted(_without_echoes(found), budget_shares(filled.rules), filled)


def _unfilled(problem: InvalidSpec, placeholders: Mapping[str, str]) -> Finding:
    if not placeholders:
        return error_of(problem)
    missing = " and ".join(f"--arg {name}=VALUE" for name in placeholders)
    return warning("spec.args", "without their values the rest cannot be checked", f"give {missing}")


def _filled(spec: AnalysisTemplateSpec, filled: Filled) -> Iterator[Finding]:
    """What only shows once arguments are filled in, of the template's own metrics."""
    places = {metric.name: f"spec.metrics[{index}]" for index, metric in enumerate(spec.metrics)}
    rules = {rule.name: rule for rule in filled.rules.rules}
    for metric in filled.metrics:
        if metric.name not in places:
            continue
        field = places[metric.name]
        yield from (error_of(problem) for problem in validate_metric(metric, field))
        if metric.name in rules:
            yield from check_selectors(metric, f"{field}.comparison", rules[metric.name].pod_label)
            yield from _bounds(rules[metric.name], f"{field}.comparison")


def _without_echoes(findings: list[Finding]) -> tuple[Finding, ...]:
    """Keep the last error of each field: what knows PromQL says more than what only looks at the text."""
    errors = {finding.field: finding for finding in findings if finding.severity is Severity.ERROR}
    kept = [one for one in findings if one.severity is not Severity.ERROR or errors[one.field] == one]
    return tuple(dict.fromkeys(kept))


def _placeholders(
    spec: AnalysisTemplateSpec, find: FindTemplate, ref: TemplateRef, args: Mapping[str, str]
) -> dict[str, str]:
    """Return values for arguments without any, so that the rest can be checked where any text will do."""
    included = [spec, *(found for one in spec.templates if one != ref and (found := find(one)) is not None)]
    given = {arg.name for one in included for arg in one.args if _has_value(arg)} | args.keys()
    wanted = {arg.name for one in included for arg in one.args} - given
    return dict.fromkeys(sorted(wanted), _PLACEHOLDER)


def _has_value(arg: Argument) -> bool:
    return arg.value is not None or arg.value_from is not None


def _arguments(spec: AnalysisTemplateSpec, args: Mapping[str, str]) -> Iterator[Finding]:
    for index, arg in enumerate(spec.args):
        if not _has_value(arg) and arg.name not in args:
            yield warning(f"spec.args[{index}]", f'"{arg.name}" has no default', "every Rollout must give it a value")
    for name in args.keys() - {arg.name for arg in spec.args}:
        if not spec.templates:
            yield warning("--arg", f'the template has no argument "{name}"', "remove it, or declare it under args")


def _bounds(rule: MetricRule, field: str) -> Iterator[Finding]:
    family = rule.family
    if isinstance(family, CountsRule) and family.limit is not None and family.limit <= family.min_difference:
        yield error_of(InvalidSpec(f"{field}.counts.limit", "is below minDifference", "raise it"))
    if isinstance(family, HistogramRule) and not family.tails_seconds:
        words = "none is named, so without a FailureModel only the typical latency is judged"
        yield warning(f"{field}.histogram.tails", words, "name one or two bounds of buckets, such as 250ms")


def _patterns(spec: AnalysisTemplateSpec, filled: Filled) -> Iterator[Finding]:
    names = [metric.name for metric in filled.metrics]
    for index, dry in enumerate(spec.dry_run):
        if all(first_match((dry,), name) is None for name in names):
            yield warning(f"spec.dryRun[{index}].metricName", f"{dry.metric_name!r} matches no metric")
    for index, kept in enumerate(spec.measurement_retention):
        if all(first_match((kept,), name) is None for name in names):
            yield warning(f"spec.measurementRetention[{index}].metricName", f"{kept.metric_name!r} matches no metric")
    if filled.rules.rules and all(rule.dry_run for rule in filled.rules.rules):
        yield warning("spec.dryRun", "all comparisons are dry runs, so none can fail a rollout")


def provable(rules: RunRules, stable_pods: int, noises: Mapping[str, MetricNoise]) -> Iterator[Finding]:
    """Yield tolerances that the usual differences between pods forbid to prove, whatever the traffic."""
    planner = Planner(rules, noises, Service(_MUCH_TRAFFIC, _ERROR_RATE, stable_pods=stable_pods))
    for rule in planner.acting:
        if rule.tolerance is None:
            continue
        needed = _pods_needed(planner, rule)
        field = f'metric "{rule.name}" tolerance'
        asked = format_percent(rule.tolerance)
        whose = "as was learned" if noises[rule.name].main.certified else "as the priors assume"
        if needed is None:
            words = f"{asked} is less than pods differ, {whose}, even {stable_pods} against {stable_pods}"
            # All series of an arm count as one pod's.
            words += "" if rule.pod_label else ", and its series tell no pods apart"
            remedy = "tolerate more, or learn the service's noise: `verify` would wait for ever"
            yield Finding(Severity.ERROR, field, words, remedy)
        elif needed > 1 and not rule.pod_label:
            words = (
                f"{asked} is proven from a weight of {_weight(planner, needed)}% on only if stable has {stable_pods}"
                " pods, which its series do not tell apart"
            )
            remedy = "say how many there are with --pods, tolerate more, or use series with pods' names"
            yield warning(field, words, remedy)
        elif needed > 1:
            words = f"{asked} is proven by {needed} canary pods and more only, since pods differ {whose}"
            yield warning(field, words, "set setCanaryScale, tolerate more, or learn the service's noise")


def _pods_needed(planner: Planner, rule: MetricRule) -> int | None:
    """Return the fewest canary pods that can prove the tolerance, by bisection; None where as many as stable cannot."""
    low, high = 0, planner.service.stable_pods
    if _forbidden(planner, rule, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _forbidden(planner, rule, middle) else (low, middle)
    return high


def _forbidden(planner: Planner, rule: MetricRule, pods: int) -> bool:
    return planner.proof(rule, (PlannedStep(_weight(planner, pods), pods, 600.0),)).wait.never


def _weight(planner: Planner, pods: int) -> int:
    """Return the weight at which a canary pod has as much load as a stable one, so that no doubt about load remains."""
    return max(round(100 * pods / (pods + planner.service.stable_pods)), 1)
