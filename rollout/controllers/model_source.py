"""Where a FailureModel's history is, and how its Rollout moves: from caches, without I/O."""

from dataclasses import dataclass

import msgspec

from analysis.durations import parse_duration
from analysis.errors import InvalidSpec
from analysis.failure_model_spec import FailureModelSpec
from analysis.model.applied import RunMetrics
from analysis.model.history import SEGMENT_SECONDS, HistorySource, arms_of_history
from analysis.model.plan import DEFAULT_PLAN, Plan, PlanStep
from analysis.run_spec import AnalysisRunSpec, Arm, Arms
from analysis.template import build_run, resolve_arguments
from rollout.api.rollout import CanaryStrategy, Rollout
from rollout.controllers.observe import Caches, template, weight_increases
from rollout.kube.resources import ROLLOUTS

PAUSE_SECONDS = 600.0
"""A step that waits for a person, or for a proof, is played as long as this."""
SEGMENT_SECONDS_MIN, SEGMENT_SECONDS_MAX = 600.0, 7200.0


@dataclass(frozen=True)
class ModelSource:
    """What a certificate is made from.

    Attributes:
        run: the spec of a background run of the Rollout; its arguments may still need Secrets.
        arms: of history.
    """

    run: AnalysisRunSpec
    arms: Arms
    namespace: str
    plan: Plan
    segment_seconds: float

    def history(self, metrics: RunMetrics) -> HistorySource:
        """Return what is read."""
        return HistorySource(metrics.rules, metrics.metrics, self.namespace, self.arms)


def model_of(rollout: Rollout) -> str:
    """Return the name of the FailureModel that a Rollout's background analysis names; empty without one."""
    analysis = rollout.spec.strategy.canary.analysis if rollout.spec.strategy.canary else None
    reference = analysis.comparison.failure_model_ref if analysis and analysis.comparison else None
    return reference.name if reference else ""


def model_source(caches: Caches, namespace: str, spec: FailureModelSpec) -> ModelSource:
    """Return what a model's certificate is made from; raises InvalidSpec where there is nothing to make it from."""
    field, name = "spec.rolloutRef.name", spec.rollout_ref.name
    live = caches[ROLLOUTS].get((namespace, name))
    if live is None:
        raise InvalidSpec(field, f'Rollout "{name}" does not exist', "create it, or mend the name")
    rollout = _typed(live, namespace, name)
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    if canary.analysis is None or not canary.analysis.templates:
        raise InvalidSpec(field, f'Rollout "{name}" has no background analysis', "name its templates there")
    stable = rollout.status.stable_rs
    args = resolve_arguments(canary.analysis.args, latest_hash=stable, stable_hash=stable, rollout=live)
    run = build_run(
        canary.analysis,
        lambda ref: template(caches, namespace, ref),
        args=args,
        weight_increases=weight_increases(canary),
    )
    if run.comparison is None:
        raise InvalidSpec(field, f'the analysis of Rollout "{name}" has no comparison', "a model is of no use there")
    arm = Arm(pod_template_hash=stable, service=canary.stable_service)
    return ModelSource(run, arms_of_history(name, arm), namespace, plan_of(rollout), _segment_seconds(spec))


def _typed(live: dict[str, object], namespace: str, name: str) -> Rollout:
    try:
        return msgspec.convert(live, Rollout)
    except msgspec.ValidationError as error:
        problem = f'Rollout "{namespace}/{name}" does not fit the CRD: {str(error)[:200]}'
        raise InvalidSpec("spec.rolloutRef.name", problem, "apply it again") from error


def _segment_seconds(spec: FailureModelSpec) -> float:
    text = spec.training.segment_duration
    if not text:
        return SEGMENT_SECONDS
    try:
        return min(max(parse_duration(text), SEGMENT_SECONDS_MIN), SEGMENT_SECONDS_MAX)
    except ValueError as error:
        raise InvalidSpec("spec.training.segmentDuration", str(error), "write it like 40m") from error


def plan_of(rollout: Rollout) -> Plan:
    """Return how a Rollout moves: each weight with the pauses that follow it."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    steps: list[PlanStep] = []
    percent = 0
    for step in canary.steps:
        if step.set_weight is not None:
            percent = min(step.set_weight, 100)
        seconds = _waits(step.pause, step.verify)
        if seconds > 0:
            steps.append(PlanStep(percent, percent / 100, seconds))
    if not any(step.percent > 0 for step in steps):
        return DEFAULT_PLAN
    return Plan(tuple(steps))


def _waits(pause: object, verify: object) -> float:
    given = getattr(pause, "duration", None) if pause is not None else getattr(verify, "timeout", None)
    if pause is None and verify is None:
        return 0.0
    try:
        return parse_duration(given) if given is not None else PAUSE_SECONDS
    except ValueError:
        return PAUSE_SECONDS
