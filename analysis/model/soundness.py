"""Whether a service still behaves as it did: the order in which placebos were cut from history, put to the bet."""

from bisect import insort

from analysis.model.certify import Tally
from analysis.model.drift import DEGRADED_CAPITAL, REFERENCE_MAX, Drift, conformal_p_value


def drifted(tally: Tally) -> str:
    """Return a sentence where later placebos differ from earlier ones, else nothing.

    One placebo of each piece is looked at, since two of one piece resemble each other. Their scores are how large the
    evidence became; while they may be exchanged, at most one service in twenty is called drifted, whenever one looks.
    """
    drift, earlier = Drift(), list[float]()
    scores = {number: outcome.largest_log_evidence for number, outcome in reversed(tally.placebos)}
    for number in sorted(scores, key=lambda number: tally.begins[number]):
        drift = drift.after(conformal_p_value(scores[number], earlier))
        if len(earlier) < REFERENCE_MAX:
            insort(earlier, scores[number])
    if not drift.degraded:
        return ""
    odds = min(drift.capital, 1e6)
    return (
        f"later placebos differ from earlier ones: odds of {odds:.3g}:1, beyond {DEGRADED_CAPITAL:.0f}:1; "
        "the service is not what it was, fit the model again"
    )
