"""What a sentinel learns from: the contrasts of releases of nothing, cut from history.

Placebos know no shift of load and no young pods. In simulated healthy releases, 100 of each kind, sentinels that were
allowed false alarms in 2 % raised them in 4 to 8 % (an ordinary service, incidents, a peak), and in 78 to 94 % of a
service whose pods are slow for longer than the warm-up: there new pods do differ. With the warm-up that such pods need,
which `model fit` learns where history has their births, it was 1 of 60. So an anomaly pauses and explains by default,
and the evidence decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.metric_state import begin
from analysis.evidence.special import FloatArray
from analysis.judge import gathered
from analysis.model.history import Piece
from analysis.model.placebo import placebo
from analysis.model.plan import Plan
from analysis.model.play import looks
from analysis.model.sentinel.gathered import features_of, run_contrasts
from analysis.rules import RunRules

EVERY_SECONDS_MIN = 15.0


@dataclass(frozen=True)
class Healthy:
    """How placebos are played for a sentinel.

    Attributes:
        noises: that the model gives; a contrast is measured by them.
        seed: chooses the posing pods.
    """

    rules: RunRules
    noises: Mapping[str, MetricNoise]
    plan: Plan
    seed: int = 0

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the contrasts of metrics that decide and whose noise was learned, in their order."""
        return tuple(
            feature
            for rule in self.rules.rules
            if not rule.dry_run and self.noises[rule.name].main.certified
            for feature in features_of(begin(rule, self.noises[rule.name]))
        )

    def rollouts(self, pieces: Sequence[Piece]) -> list[FloatArray]:
        """Return (looks, features) contrasts, one placebo a piece in order of time; NaN where nothing is known.

        One a piece, since two of one piece resemble each other: what was learned from one says little of the other.
        Looks are as frequent as a run's. A piece in which the service had one pod gives none.
        """
        found = [self._contrasts(piece, number) for number, piece in enumerate(pieces)]
        return [one for one in found if one is not None]

    def _contrasts(self, piece: Piece, number: int) -> FloatArray | None:
        try:
            release = placebo(piece.tables, self.rules, self.plan, self.seed + number)
        except InvalidSpec:
            return None
        every = max(min(rule.interval_seconds for rule in self.rules.rules), EVERY_SECONDS_MIN)
        rows = []
        for state, facts, running in looks(release, self.rules, self.noises, every_seconds=every):
            seen = run_contrasts(gathered(state, facts, running))
            row = [seen.get(feature, np.nan) for feature in self.features]
            # A sentinel is silent while nothing is known, so such a look is none.
            rows += [] if np.isnan(row).all() else [row]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.features))
