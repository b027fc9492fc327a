"""One budget for all metrics, looks and steps: the weighted mean of e-processes is an e-process (Vovk, Wang 2021)."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.evidence.special import FloatArray, log_sum_exp

COMBINED_WEIGHT = 10
"""Weight of the always-on metric of many small harms; reserved from the start, so that adding it moves no verdict."""
FIRST_SHARE = 0.4


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
    terms = [np.log(shares[k]) + log_evidence[k] for k in range(came)]
    rest = sum(shares[came:])
    return log_sum_exp(_array([*terms, np.log(rest)] if rest > 0 else terms))


def over_metrics(log_evidence: Mapping[str, float], shares: Mapping[str, float]) -> float:
    """Return the log of the mean over metrics; what has no metric counts as evidence 1."""
    terms = [np.log(shares[name]) + log_evidence[name] for name in shares]
    rest = 1.0 - sum(shares.values())
    return log_sum_exp(_array([*terms, np.log(rest)] if rest > 1e-12 else terms))


def _array(values: Sequence[float]) -> FloatArray:
    return np.asarray(values, dtype=np.float64)
