"""What to change in a plan: more canary pods, longer steps, another first weight, a wider tolerance."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from analysis.authoring.plan import Plan, Planner, Sight, StepPlan
from analysis.authoring.play import Wait
from analysis.authoring.service import PlannedStep, harms_of
from analysis.rules import MetricRule

LONGEST_SECONDS = 3600.0
"""A step that would have to be longer is rather left out."""
_LADDER_PERCENT = (1, 2, 5, 10, 15, 20, 25, 30, 40, 50)


@dataclass(frozen=True)
class Proposal:
    """Steps that see the leading harm of each metric and prove every tolerance, as far as that can be.

    Attributes:
        steps: planned again, with the pods and durations proposed.
        left_out: weights that would have to be held for more than an hour.
    """

    steps: tuple[StepPlan, ...]
    left_out: tuple[int, ...]


def propose(planner: Planner, plan: Plan) -> Proposal:
    """Return better steps; the same ones where nothing is to be gained."""
    kept: list[StepPlan] = []
    left_out: list[int] = []
    for old in plan.steps:
        before = tuple(step.step for step in kept)
        best = _with_pods(planner, before, old.step)
        half, most = _needed_seconds(best)
        if half > LONGEST_SECONDS and _others_remain(plan, left_out):
            left_out.append(old.step.weight_percent)
            continue
        kept.append(replace(best, step=replace(best.step, seconds=_rounded_up(min(most, LONGEST_SECONDS)))))
    return Proposal(tuple(kept), tuple(left_out))


def first_weight(planner: Planner, seconds: float) -> int | None:
    """Return the smallest weight at which the leading harm of each metric is seen in this time; None where none is.

    Harms that are not even seen at the largest weight are left aside.
    """
    largest = _first_step(planner, _LADDER_PERCENT[-1], seconds)
    seen = [rule for rule in planner.acting if _in_time(planner, rule, largest)]
    if not seen:
        return None
    for weight in _LADDER_PERCENT:
        step = _first_step(planner, weight, seconds)
        if all(_in_time(planner, rule, step) for rule in seen):
            return weight
    return None


def _first_step(planner: Planner, weight: int, seconds: float) -> PlannedStep:
    return PlannedStep(weight, max(math.ceil(planner.service.stable_pods * weight / 100), 1), seconds)


def _in_time(planner: Planner, rule: MetricRule, step: PlannedStep) -> bool:
    wait = planner.sight(rule, harms_of(rule)[0], (step,))
    return wait.seconds is not None and wait.seconds <= step.seconds


def _others_remain(plan: Plan, left_out: list[int]) -> bool:
    return len(left_out) + 1 < len(plan.steps)


def _with_pods(planner: Planner, before: tuple[PlannedStep, ...], step: PlannedStep) -> StepPlan:
    """Return the step with the fewest pods that let the most be known; never fewer than planned."""
    least = max([step.canary_pods, *(one.canary_pods for one in before)])
    best: StepPlan | None = None
    for pods in _numbers(least, planner.service.stable_pods):
        planner.progress(f"{step.weight_percent}% with {pods} pods")
        tried = planner.step((*before, replace(step, canary_pods=pods)), len(before))
        if best is None or _unknowable(tried) < _unknowable(best):
            best = tried
        if _unknowable(best) == 0:
            break
    if best is None:
        raise AssertionError("a step has at least one number of pods")
    return best


def _numbers(least: int, most: int) -> Iterator[int]:
    """The number itself, some more, and then half as many again, up to the most."""
    yield least
    while least < most:
        least = min(max(least + 1, least * 3 // 2), most)
        yield least


def _unknowable(step: StepPlan) -> int:
    waits = [*(sight.wait for sight in _leading(step)), *(proof.wait for proof in step.proofs)]
    return sum(wait.never for wait in waits)


def _leading(step: StepPlan) -> Iterator[Sight]:
    seen: set[str] = set()
    for sight in step.sights:
        if sight.metric not in seen:
            seen.add(sight.metric)
            yield sight


def _needed_seconds(step: StepPlan) -> tuple[float, float]:
    """Return how long the step has to be held for all that can be known at it: by half of the releases, by nine of ten.

    What nine of ten never come to is asked of half of them only.
    """
    waits = [
        *((sight.wait, sight.most) for sight in _leading(step)),
        *((proof.wait, proof.most) for proof in step.proofs),
    ]
    possible = [(wait, most) for wait, most in waits if not wait.never]
    if not possible:
        return step.step.seconds, step.step.seconds
    half = max(_seconds(wait) for wait, _ in possible)
    return half, max(half, *(_seconds(wait if most.never else most) for wait, most in possible))


def _seconds(wait: Wait) -> float:
    return math.inf if wait.seconds is None else wait.seconds


def _rounded_up(seconds: float) -> float:
    """Return whole minutes, from ten on in fives."""
    unit = 60.0 if seconds <= 600 else 300.0
    return max(math.ceil(seconds / unit) * unit, 60.0)
