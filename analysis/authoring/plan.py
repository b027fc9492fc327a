"""When a rollout would see harm and prove tolerances, step by step, for a service as its author describes it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from analysis.authoring.expected import Course
from analysis.authoring.play import (
    HORIZON_SECONDS,
    SETTLED_SECONDS,
    Game,
    Reached,
    Wait,
    detection,
    endless,
    proof,
    unlucky,
)
from analysis.authoring.service import Harm, PlannedStep, Service, harms_of
from analysis.errors import InvalidSpec
from analysis.evidence.combined import metric_shares
from analysis.evidence.metric_parts import MetricNoise, metric_parts
from analysis.rules import CountsRule, MetricRule, RunRules

MAX_STEPS = 20
CELLS_MAX = 3_000_000
"""Pods times windows of one game; a histogram has a dozen numbers in each."""
_TOLERANCE_MAX = 10.0
_BISECTIONS = 12
_CURVE_POINTS = 60

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Sight:
    """How long a harm takes to be seen, if it shows at the beginning of a step and the step is held.

    Attributes:
        wait: of the median release.
        most: of nine in ten releases.
        forgiven: the absolute difference that the metric forgives, where it is more than its harm is; else 0.
    """

    metric: str
    harm: Harm
    wait: Wait
    most: Wait
    forgiven: float = 0.0


@dataclass(frozen=True)
class Proof:
    """How long a tolerance takes to be proven at a step.

    Attributes:
        tolerance: as a ratio.
        wait: of the median release, which is healthy.
        most: of nine in ten releases.
        never: labels of the parts that are never proven; empty label for the only part.
        provable: the smallest tolerance that can ever be proven with these pods; None where it is this one or less.
    """

    metric: str
    tolerance: float
    wait: Wait
    most: Wait
    never: tuple[str, ...] = ()
    provable: float | None = None


@dataclass(frozen=True)
class StepPlan:
    """What one step can say."""

    step: PlannedStep
    sights: tuple[Sight, ...]
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class Whole:
    """A harm that shows from the first minute of the rollout: when it is seen, and what users had of it by then.

    Attributes:
        step: index of the step; None where it is not seen while the rollout goes on.
        canary_requests: that the canary had served, the whole rollout's where it is never seen.
    """

    metric: str
    harm: Harm
    seconds: float | None
    step: int | None
    canary_requests: float


@dataclass(frozen=True)
class Plan:
    """A plan of a rollout, all tolerances and harms included."""

    service: Service
    steps: tuple[StepPlan, ...]
    wholes: tuple[Whole, ...]
    budget: float
    certified: bool


@dataclass(frozen=True)
class Curve:
    """How the log odds of a harm grow after a step began, the metric's share of the budget taken off."""

    metric: str
    harm: Harm
    minutes: tuple[float, ...]
    log_odds: tuple[float, ...]


@dataclass(frozen=True)
class Planner:
    """Plans rollouts of one template and service; the steps are what varies.

    Attributes:
        noises: by metric; priors, or those of a FailureModel.
    """

    rules: RunRules
    noises: Mapping[str, MetricNoise]
    service: Service
    progress: Progress = lambda _words: None

    def plan(self, steps: tuple[PlannedStep, ...]) -> Plan:
        """Return the plan of a rollout; raises InvalidSpec where the steps are no rollout."""
        check_steps(steps, self.service)
        planned = []
        for index, step in enumerate(steps):
            self.progress(f"step {index + 1} of {len(steps)}: {step.weight_percent}%")
            planned.append(self.step(steps, index))
        wholes = tuple(self._whole(rule, harm, steps) for rule in self.acting for harm in harms_of(rule))
        certified = all(self.noises[rule.name].main.certified for rule in self.acting)
        return Plan(self.service, tuple(planned), wholes, self.rules.budget, certified)

    def step(self, steps: tuple[PlannedStep, ...], index: int) -> StepPlan:
        """Return what one step can say, those before it having gone as planned."""
        sights = tuple(self._sight(rule, harm, steps[: index + 1]) for rule in self.acting for harm in harms_of(rule))
        proofs = tuple(self.proof(rule, steps[: index + 1]) for rule in self.acting if rule.tolerance is not None)
        return StepPlan(steps[index], sights, proofs)

    def curves(self, steps: tuple[PlannedStep, ...], index: int) -> tuple[Curve, ...]:
        """Return how the evidence of each harm grows at a step, over three times its duration."""
        steps = steps[: index + 1]
        return tuple(self._curve(rule, harm, steps) for rule in self.acting for harm in harms_of(rule))

    def _curve(self, rule: MetricRule, harm: Harm, steps: tuple[PlannedStep, ...]) -> Curve:
        game = self._game(rule, steps, harm, len(steps) - 1)
        start = round(sum(step.seconds for step in steps[:-1]) / rule.interval_seconds)
        length = math.ceil(3 * steps[-1].seconds / rule.interval_seconds)
        after = sorted({round(length * point / _CURVE_POINTS) for point in range(_CURVE_POINTS + 1)})
        share = math.log(self._shares[rule.name])
        return Curve(
            metric=rule.name,
            harm=harm,
            minutes=tuple(windows * rule.interval_seconds / 60 for windows in after),
            log_odds=tuple(share + game.log_evidence(game.state_at(start + windows)) for windows in after),
        )

    @property
    def acting(self) -> tuple[MetricRule, ...]:
        """The metrics that decide something."""
        return tuple(rule for rule in self.rules.rules if not rule.dry_run)

    @property
    def _shares(self) -> dict[str, float]:
        return metric_shares({rule.name: rule.budget_weight for rule in self.acting})

    def _game(self, rule: MetricRule, steps: tuple[PlannedStep, ...], harm: Harm | None, harm_step: int) -> Game:
        seconds = sum(step.seconds for step in steps[:-1]) + max(HORIZON_SECONDS, steps[-1].seconds)
        windows = math.ceil(seconds / rule.interval_seconds)
        if windows * (self.service.stable_pods + steps[-1].canary_pods) > CELLS_MAX:
            words = f"{self.service.stable_pods} pods and windows of {rule.interval_seconds:g} s are too many to plan"
            raise InvalidSpec("pods", words, "plan with fewer pods, or with a longer interval")
        course = Course(
            service=self.service,
            steps=steps,
            windows=windows,
            warm_up_seconds=self.rules.warm_up_seconds,
            harm=harm,
            harm_step=harm_step,
        )
        return Game.of(rule, self.noises[rule.name], course, max(self.rules.weight_increases, len(steps)))

    def sight(self, rule: MetricRule, harm: Harm, steps: tuple[PlannedStep, ...]) -> Wait:
        """Return how long a harm takes to be seen that shows at the beginning of the last step."""
        return self._sight(rule, harm, steps).wait

    def _sight(self, rule: MetricRule, harm: Harm, steps: tuple[PlannedStep, ...]) -> Sight:
        game, last = self._game(rule, steps, harm, len(steps) - 1), len(steps) - 1
        seen = detection(game, self._shares[rule.name], -math.log(self.rules.budget))
        wait, most = _waits(game, seen, unlucky(seen, rule.direction, harm=True), last)
        return Sight(rule.name, harm, wait, most, self._forgiven(rule))

    def _forgiven(self, rule: MetricRule) -> float:
        difference = rule.family.min_difference if isinstance(rule.family, CountsRule) else 0.0
        return difference if difference > self.service.error_rate_of(rule.name) * rule.harm else 0.0

    def proof(self, rule: MetricRule, steps: tuple[PlannedStep, ...]) -> Proof:
        """Return how long a tolerance takes to be proven at the last step, from its beginning on."""
        game = self._game(rule, steps, None, 0)
        shown = proof(game)
        wait, most = _waits(game, shown, unlucky(shown, rule.direction, harm=False), len(steps) - 1)
        tolerance = rule.tolerance or 0.0
        if not wait.never:
            return Proof(rule.name, tolerance, wait, most)
        settled = sum(step.seconds for step in steps[:-1]) + SETTLED_SECONDS
        last = endless(game.state_at(math.ceil(settled / rule.interval_seconds)))
        never = tuple(part.rule.part.label for part in game.parts(last) if not part.proven)

        def provable(tolerance: float) -> bool:
            wider = replace(rule, tolerance=tolerance)
            state = replace(last, rule=wider, parts=metric_parts(wider, self.noises[rule.name]))
            return all(part.proven for part in game.parts(state))

        return Proof(rule.name, tolerance, wait, most, never, _smallest(provable, tolerance))

    def _whole(self, rule: MetricRule, harm: Harm, steps: tuple[PlannedStep, ...]) -> Whole:
        game = self._game(rule, steps, harm, 0)
        wait = game.wait(detection(game, self._shares[rule.name], -math.log(self.rules.budget)), 0)
        length = sum(step.seconds for step in steps)
        seen = wait.seconds if wait.seconds is not None and wait.seconds <= length else None
        step = None if seen is None else _step_at(steps, seen)
        return Whole(rule.name, harm, seen, step, self._canary_requests(steps, length if seen is None else seen))

    def _canary_requests(self, steps: tuple[PlannedStep, ...], seconds: float) -> float:
        requests, left = 0.0, seconds
        for step in steps:
            held = min(left, step.seconds)
            requests += self.service.requests_per_second * step.weight_percent / 100 * held
            left -= held
        return requests


def _waits(game: Game, median: Reached, most: Reached, step: int) -> tuple[Wait, Wait]:
    """Return both waits; what half of the releases never reach, nine of ten do not either."""
    wait = game.wait(median, step)
    return wait, wait if wait.seconds is None else game.wait(most, step)


def check_steps(steps: tuple[PlannedStep, ...], service: Service) -> None:
    """Raise InvalidSpec where steps or a service cannot be planned."""
    weights = [step.weight_percent for step in steps]
    if not steps or len(steps) > MAX_STEPS:
        raise InvalidSpec("weights", f"{len(steps)} steps are given", f"plan 1 to {MAX_STEPS}")
    if weights != sorted(set(weights)) or weights[0] < 1 or weights[-1] > 99:
        raise InvalidSpec("weights", f"{weights} do not rise between 1 and 99", "write them like 5,25,50")
    if min(step.canary_pods for step in steps) < 1 or service.stable_pods < 1:
        raise InvalidSpec("pods", "each arm needs a pod", "write 1 or more")
    if min(step.seconds for step in steps) < 60:
        raise InvalidSpec("duration", "a step shorter than a minute can see nothing", "write 5m or more")
    if not 0 < service.requests_per_second < 1e9:
        raise InvalidSpec("rps", f"{service.requests_per_second:g} requests a second cannot be planned with")
    rates = [service.error_rate, *service.error_rates.values()]
    if min(rates) < 0 or max(rates) > 0.5:
        raise InvalidSpec("error-rate", "must lie between 0% and 50%", "write it like 0.5%")


def _smallest(provable: Callable[[float], bool], above: float) -> float | None:
    """Return the smallest tolerance that can be proven, to three digits, by bisection; None where none can."""
    low, high = above, _TOLERANCE_MAX
    if not provable(high):
        return None
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if provable(middle) else (middle, high)
    return high


def _step_at(steps: tuple[PlannedStep, ...], seconds: float) -> int:
    ends = 0.0
    for index, step in enumerate(steps):
        ends += step.seconds
        if seconds <= ends:
            return index
    return len(steps) - 1
