"""A sentinel in a run: whether it fits, what it may do there, and what it sees at a look."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.metric_state import begin
from analysis.failure_model_spec import Sentinel
from analysis.judge import Facts, Running, RunState, gathered
from analysis.model.sentinel.forest import IsolationForestDetector
from analysis.model.sentinel.gathered import features_of, run_contrasts
from analysis.model.sentinel.look import look
from analysis.model.sentinel.mahalanobis import MahalanobisDetector
from analysis.model.sentinel.model import SentinelModel
from analysis.model.sentinel.neighbors import NearestNeighborsDetector
from analysis.model.sentinel.threshold import trajectory_threshold
from analysis.percent import format_percent, parse_percent
from analysis.rules import RunRules
from analysis.sentinel_seen import DRIVERS_MAX, OnAnomaly, SentinelDriver, SentinelSeen

ALARM_BUDGET = 0.02
"""Of healthy rollouts, with Pause and Report: a pause costs a look. Three days of history support it."""

_DETECTORS: Mapping[str, type] = {
    "Mahalanobis": MahalanobisDetector,
    "NearestNeighbors": NearestNeighborsDetector,
    "IsolationForest": IsolationForestDetector,
}


@dataclass(frozen=True)
class ActingSentinel:
    """A sentinel that fits a run.

    Attributes:
        type: of the detector.
        digest: of its artefact.
        budget: ratio of healthy rollouts that may be taken for anomalies.
    """

    type: str
    model: SentinelModel
    digest: str
    on_anomaly: OnAnomaly
    budget: float

    @property
    def taken(self) -> float:
        """What it takes out of the rollout's budget: nothing where it cannot fail a run."""
        can_fail = trajectory_threshold(self.model.largest_scores, self.budget) is not None
        return self.budget if self.on_anomaly == "Fail" and can_fail else 0.0

    def seen(self, state: RunState, facts: Facts, running: Mapping[str, Running]) -> SentinelSeen | None:
        """Return what it sees; None while no feature has a contrast."""
        found = look(self.model, run_contrasts(gathered(state, facts, running)), self.budget)
        if found is None or not math.isfinite(found.score):
            return None
        drivers = tuple(SentinelDriver(one.feature, one.contrast) for one in found.drivers[:DRIVERS_MAX])
        return SentinelSeen(
            type=self.type,
            digest=self.digest,
            on_anomaly=self.on_anomaly,
            budget=self.budget,
            rollouts=len(self.model.largest_scores),
            score=found.score,
            threshold=found.threshold,
            p_value=found.p_value,
            drivers=drivers,
        )


def acting_sentinel(
    wanted: Sentinel, model: SentinelModel, rules: RunRules, noises: Mapping[str, MetricNoise]
) -> ActingSentinel:
    """Return the sentinel of a run.

    Its contrasts must be the ones that it was learned from: each of a metric that decides, by learned noise.

    Args:
        wanted: the stanza of the FailureModel.
        model: its artefact.
        rules: of the run.
        noises: that the FailureModel gives to the run's metrics.

    Raises:
        InvalidSpec: the artefact is of another type, sees what the run does not have, or wants all of its budget.
    """
    detector = _DETECTORS[wanted.type]
    if not isinstance(model.detector, detector):
        problem = f"is {wanted.type}, but the artefact holds another detector"
        raise InvalidSpec("spec.sentinel.type", problem, "take both from the same `coalmine model fit`")
    known = {
        feature
        for rule in rules.rules
        if not rule.dry_run and noises[rule.name].main.certified
        for feature in features_of(begin(rule, noises[rule.name]))
    }
    missing = [feature for feature in model.features if feature not in known]
    if missing:
        problem = f"looks at {missing[0][:80]!r}, which is no contrast of the run with learned noise"
        raise InvalidSpec("spec.sentinel.artifact", problem, "fit model and sentinel again with the present template")
    return ActingSentinel(wanted.type, model, wanted.artifact.digest, wanted.on_anomaly, _budget(wanted, rules))


def _budget(wanted: Sentinel, rules: RunRules) -> float:
    if wanted.on_anomaly != "Fail" or wanted.budget is None:
        return ALARM_BUDGET
    budget = parse_percent(wanted.budget)
    if budget >= rules.budget:
        problem = f"{wanted.budget} leaves nothing of the rollout's {format_percent(rules.budget)}"
        raise InvalidSpec("spec.sentinel.budget", problem, "write less than the false-rollback budget")
    return budget
