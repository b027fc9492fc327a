"""What somebody who may write FailureModels could try, so that a bad release passes or nothing fails any more."""

import math

from analysis.failure_model_spec import Calibration, PlaceboCalibration
from analysis.model.bounds import LIMIT_RAISE_MAX
from analysis.model.calibrate import limit_raise


def test_no_calibration_raises_the_limit_beyond_all_evidence() -> None:
    healthy = Calibration(healthy_rollouts=("999999999999999",) * 99)
    placebos = Calibration(placebos=PlaceboCalibration(count=999, quantile99="999999999999999"))
    assert limit_raise(healthy, 0.01) == LIMIT_RAISE_MAX == math.log(100)
    assert limit_raise(placebos, 0.01) == LIMIT_RAISE_MAX
