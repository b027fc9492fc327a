"""What a sentinel saw at one look: values without numpy, and their words."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from analysis.percent import format_decimal, format_percent

OnAnomaly = Literal["Pause", "Report", "Fail"]
DRIVERS_MAX = 5
"""Metrics that are named; what comes after them explains next to nothing."""
_SHOWN = 80


@dataclass(frozen=True)
class SentinelDriver:
    """A part of a metric that raised the score.

    Attributes:
        feature: the metric's name, with the part's label behind a comma where it has one.
        contrast: canary against stable, in standard errors.
    """

    feature: str
    contrast: float

    def of(self, metrics: Iterable[str]) -> str:
        """Return the metric that the feature is a part of; empty where it is none of these."""
        found = [name for name in metrics if self.feature == name or self.feature.startswith(f"{name}, ")]
        return max(found, key=len, default="")


@dataclass(frozen=True)
class SentinelSeen:
    """The answer of a sentinel at one look.

    Attributes:
        type: of the detector.
        digest: of its artefact.
        on_anomaly: what the FailureModel wants to happen.
        budget: ratio of healthy rollouts that may be taken for anomalies.
        rollouts: healthy rollouts that the threshold comes from.
        score: how unusual the look is, in the detector's own unit.
        threshold: what the score must exceed; None where too few healthy rollouts are known to have one.
        p_value: how often healthy rollouts reach such a score.
        drivers: what raised the score, the strongest first; DRIVERS_MAX at most.
    """

    type: str
    digest: str
    on_anomaly: OnAnomaly
    budget: float
    rollouts: int
    score: float
    threshold: float | None
    p_value: float
    drivers: tuple[SentinelDriver, ...] = ()

    @property
    def alarm(self) -> bool:
        """Whether this is an anomaly. Without a threshold there is none, nor of what is no number."""
        return self.threshold is not None and self.score > self.threshold

    @property
    def words(self) -> str:
        """What it saw, in one sentence; the same one until there is an anomaly."""
        if self.threshold is None:
            needed = math.ceil(1 / self.budget) - 1
            return (
                f"the sentinel ({self.type}) raises no alarm: it knows {self.rollouts} healthy rollouts, "
                f"and {format_percent(self.budget)} of false ones takes {needed}"
            )
        usual = f"at most {format_percent(self.budget)} of healthy rollouts get beyond {format_decimal(self.threshold)}"
        if not self.alarm:
            return f"the sentinel ({self.type}) sees nothing unusual; {usual}"
        driven = ", ".join(f"{one.feature[:_SHOWN]} ({one.contrast:+.3g} standard errors)" for one in self.drivers)
        why = f"; driven by {driven}" if driven else ""
        return f"the sentinel ({self.type}) sees an anomaly: score {format_decimal(self.score)}, and {usual}{why}"
