"""One budget for all metrics, looks and steps: the weighted mean of e-processes is an e-process (Vovk, Wang 2021)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from analysis.evidence.likelihood import Likelihood
from analysis.evidence.special import FloatArray, log_sum_exp

COMBINED_WEIGHT = 10
"""Weight of the always-on metric of many small harms; reserved from the start, so that adding it moves no verdict."""
FIRST_SHARE = 0.8

_SEVERITIES: FloatArray = np.arange(-20, 101, dtype=np.float64) / 10
JOINT_DELTA, JOINT_GATE, JOINT_SCALE = 0.3, 0.5, 1.0
JOINT_TEMPER = 0.5
"""Noise of two metrics may be one and the same. Half the log-likelihood of both is then still an e-process, by
Hoelder's inequality; of more metrics, where each depends on one other at most."""


def metric_shares(budget_weights: Mapping[str, int]) -> dict[str, float]:
    """Return each metric's share of the budget; the shares and the reserved one sum to 1."""
    whole = sum(budget_weights.values()) + COMBINED_WEIGHT
    return {name: weight / whole for name, weight in budget_weights.items()}


def start_shares(increases: int) -> tuple[float, ...]:
    """Return the shares of the starts of evidence: the first traffic, and each later increase of the weight.

    A fault that shows at a larger weight only is so not buried under earlier good data.
    """
    if increases <= 1:
        return (1.0,)
    return (FIRST_SHARE, *(((1 - FIRST_SHARE) / (increases - 1),) * (increases - 1)))


def over_starts(log_evidence: Sequence[float], shares: Sequence[float]) -> float:
    """Return the log of the mean over starts; a start that has not come counts as evidence 1.

    Args:
        log_evidence: of the starts that came, in order.
        shares: of all planned starts, sum 1; starts beyond the plan get nothing.
    """
    came = min(len(log_evidence), len(shares))
    terms = [math.log(shares[k]) + log_evidence[k] for k in range(came)]
    rest = sum(shares[came:])
    return log_sum_exp(_array([*terms, math.log(rest)] if rest > 0 else terms))


def over_shares(log_evidence: Sequence[float], shares: Sequence[float]) -> float:
    """Return the log of the mean over metrics or parts; what no share is given to counts as evidence 1."""
    terms = [math.log(share) + one for one, share in zip(log_evidence, shares, strict=True) if share > 0]
    rest = 1.0 - sum(shares)
    return log_sum_exp(_array([*terms, math.log(rest)] if rest > 1e-12 else terms))


def joint_log_evidence(parts: Sequence[tuple[Likelihood, float]]) -> float:
    """Return the log evidence of many small harms at once: one severity r, and u = r * joint in every metric.

    Args:
        parts: likelihood of a metric's leading part, turned so that more is worse, and its u at severity 1.
    """
    known = [(likelihood, joint) for likelihood, joint in parts if likelihood.known and joint > 0]
    if len(known) < 2:
        return 0.0
    total = JOINT_TEMPER * np.sum([likelihood.at(_SEVERITIES * joint) for likelihood, joint in known], axis=0)
    evidence = log_sum_exp(total + _JOINT_PRIOR) - float(total[_SEVERITIES <= JOINT_DELTA].max())
    return evidence if float(_SEVERITIES[int(total.argmax())]) >= JOINT_GATE else min(evidence, 0.0)


def _joint_prior() -> FloatArray:
    beyond = _SEVERITIES > JOINT_DELTA
    weights = np.where(beyond, np.exp(-(_SEVERITIES - JOINT_DELTA) / JOINT_SCALE), 0.0)
    return np.asarray(np.log(np.maximum(weights / weights.sum(), 1e-300)), dtype=np.float64)


_JOINT_PRIOR = _joint_prior()


def _array(values: Sequence[float]) -> FloatArray:
    return np.asarray(values, dtype=np.float64)
