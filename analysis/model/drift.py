"""Notices that a service no longer behaves as its model says: a conformal test martingale over p-values.

While placebos and healthy rollouts stay exchangeable, their p-values average 1/2 whatever came before, and nobody can
grow rich by betting that the next one is smaller or larger. A capital that grew twentyfold says that they are not.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from analysis.errors import InvalidSpec

DEGRADED_CAPITAL = 20.0
"""Capital beyond which a model is Degraded. At most one sound model in twenty ever gets there (Ville)."""
REFERENCE_MAX = 2000
"""Earlier scores that a new one is compared with; later ones add nothing to the comparison."""

_BETS = (-1.0, 0.0, 1.0)
_JUMP = 0.01


class Drift(msgspec.Struct, frozen=True):
    """State of the simple jumper martingale (Vovk et al., Retrain or not retrain, COPA 2021): five numbers.

    It is a gambler with three purses: one bets that p-values fall, one that they rise, one waits. A hundredth of all
    money is shared anew before each bet, so a change is found whenever it begins.

    >>> drift = Drift()
    >>> for p_value in [0.4, 0.9, 0.1, 0.6] + 20 * [0.05]:
    ...     drift = drift.after(p_value)
    >>> drift.degraded, round(drift.capital)
    (True, 423)
    """

    shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    """What part of the capital is in each purse."""
    log_capital: float = 0.0
    """Natural logarithm of the capital; it was 1 at the start."""
    log_largest: float = 0.0
    """The largest it ever was."""

    def after(self, p_value: float) -> "Drift":
        """Return the state after one more p-value; raises InvalidSpec where it is not between 0 and 1."""
        if not 0 <= p_value <= 1:
            raise InvalidSpec("pValue", f"is {p_value}", "give a number between 0 and 1")
        shared = [(1 - _JUMP) * share + _JUMP / len(_BETS) for share in self.shares]
        won = [share * (1 + bet * (p_value - 0.5)) for share, bet in zip(shared, _BETS, strict=True)]
        growth = sum(won)
        falling, waiting, rising = (part / growth for part in won)
        log_capital = self.log_capital + math.log(growth)
        return Drift((falling, waiting, rising), log_capital, max(self.log_largest, log_capital))

    @property
    def capital(self) -> float:
        """Evidence for a drift as betting odds; infinite where it is beyond what a float holds."""
        return math.exp(self.log_capital) if self.log_capital < 700 else math.inf

    @property
    def degraded(self) -> bool:
        """Whether the capital ever exceeded DEGRADED_CAPITAL. It stays so: only a new model begins anew."""
        return self.log_largest > math.log(DEGRADED_CAPITAL)


def conformal_p_value(score: float, earlier: Sequence[float]) -> float:
    """Return how unusual a score is among earlier ones: near 0 where it is larger than nearly all.

    Ranks in the middle of their steps, (larger + (equal + 1) / 2) / (n + 1), have a mean of exactly 1/2 under
    exchangeability, which is all that a bet linear in p needs; no random number has to break ties.

    Args:
        score: of a placebo or healthy rollout; the larger, the more unusual.
        earlier: sorted scores of those before it, without its own; the first REFERENCE_MAX of them at most.

    >>> conformal_p_value(5.0, [1.0, 2.0, 3.0])
    0.125
    >>> conformal_p_value(1.0, [])
    0.5
    """
    if len(earlier) > REFERENCE_MAX:
        raise InvalidSpec("earlier", f"holds {len(earlier)} scores", f"compare with the first {REFERENCE_MAX}")
    after = bisect_right(earlier, score)
    larger, equal = len(earlier) - after, after - bisect_left(earlier, score)
    return (larger + (equal + 1) / 2) / (len(earlier) + 1)
