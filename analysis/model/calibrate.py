"""Calibration: how large the evidence became in releases without harm. It may only raise the limit, never lower it.

With values of n healthy releases, the ceil((n + 1)(1 - budget))-th smallest is passed by the next healthy one with a
probability of at most the budget, whatever the noise is like (exchangeability is all that is needed). Placebos know no
warm-up and no shift of load, so a limit lowered to theirs would be passed too often (measured: 0.4 to 15 % at a nominal
1 %); raised to theirs it cannot hurt but by a later alarm.
"""

import math

from analysis.failure_model_spec import Calibration
from analysis.model.bounds import LIMIT_RAISE_MAX
from analysis.model.decimals import parse_decimal
from analysis.model.sentinel.threshold import trajectory_threshold

QUANTILE_BUDGET = 0.01
"""Of placebos a model keeps the 99 % quantile only."""
PLACEBOS_MIN = 99


def limit_raise(calibration: Calibration | None, budget: float) -> float:
    """Return what is added to ln(1 / budget), the limit of log evidence; never negative, LIMIT_RAISE_MAX at most.

    Raises:
        InvalidSpec: a value is no number.
    """
    if calibration is None:
        return 0.0
    limit = -math.log(budget)
    healthy = [parse_decimal(text, "spec.calibration.healthyRollouts") for text in calibration.healthy_rollouts]
    raised = [trajectory_threshold(sorted(healthy), budget)]
    placebos = calibration.placebos
    # A smaller budget needs at least this quantile; a larger one would be held to more than it asks for.
    if placebos is not None and placebos.quantile99 and placebos.count >= PLACEBOS_MIN and budget <= QUANTILE_BUDGET:
        raised.append(parse_decimal(placebos.quantile99, "spec.calibration.placebos.quantile99"))
    return min(max([0.0, *(value - limit for value in raised if value is not None)]), LIMIT_RAISE_MAX)
