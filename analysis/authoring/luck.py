"""Bad luck: the estimate misses the truth by as much as in one of ten releases, to the side that hides it."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from analysis.evidence.block import Block
from analysis.evidence.gathered import Gathered
from analysis.evidence.grid import GRID
from analysis.evidence.likelihood import GridLikelihood, Likelihood, NormalLikelihood
from analysis.evidence.metric_parts import Part
from analysis.evidence.metric_state import MetricState

ONE_OF_TEN = 1.2816
"""Standard deviations that a normal estimate exceeds in one of ten cases."""


@dataclass(frozen=True)
class _Missed:
    """A part whose likelihood lies beside the truth by so many of its own standard deviations."""

    part: Part
    deviations: float

    @property
    def label(self) -> str:
        return self.part.label

    def gather(self, block: Block) -> Gathered:
        return self.part.gather(block)

    def likelihood(self, gathered: Gathered) -> Likelihood:
        found = self.part.likelihood(gathered)
        return moved(found, self.deviations * deviation(found)) if found.known else found

    def totals(self, gathered: Gathered) -> tuple[float, float, float, float]:
        return self.part.totals(gathered)


def missed(state: MetricState, deviations: float) -> MetricState:
    """Return the state as if every estimate lay higher by so many of its standard deviations."""
    parts = tuple(replace(rule, part=cast("Part", _Missed(rule.part, deviations))) for rule in state.parts)
    return replace(state, parts=parts)


def deviation(likelihood: Likelihood) -> float:
    """Return the standard deviation of u by a likelihood, pods' lasting differences included."""
    if isinstance(likelihood, NormalLikelihood):
        return float(np.sqrt(likelihood.variance))
    weights = np.exp(likelihood.values - likelihood.values.max())
    weights /= weights.sum()
    mean = float(weights @ GRID)
    return float(np.sqrt(max(float(weights @ (GRID - mean) ** 2), 0.0)))


def moved(likelihood: Likelihood, by: float) -> Likelihood:
    """Return the likelihood of a u that is larger by so much; beyond the grid's ends it is level."""
    if isinstance(likelihood, NormalLikelihood):
        return replace(likelihood, low=likelihood.low + by, high=likelihood.high + by)
    return GridLikelihood(likelihood.at(GRID - by))
