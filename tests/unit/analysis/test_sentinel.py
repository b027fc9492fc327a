"""Sentinels score without scikit-learn what scikit-learn would, and say which metrics drove an alarm."""

import doctest
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from analysis.errors import InvalidSpec, MeasurementError
from analysis.model.artefact import canonical, digest
from analysis.model.sentinel import threshold
from analysis.model.sentinel.contrasts import LARGEST_CONTRAST, contrast, filled
from analysis.model.sentinel.fit import forest, mahalanobis, neighbors, sentinel
from analysis.model.sentinel.fit.detector import FittingDetector
from analysis.model.sentinel.fit.forest import IsolationForestFit
from analysis.model.sentinel.fit.mahalanobis import MahalanobisFit
from analysis.model.sentinel.fit.neighbors import NearestNeighborsFit
from analysis.model.sentinel.fit.sentinel import Kind, fit_sentinel
from analysis.model.sentinel.look import look
from analysis.model.sentinel.model import parse_sentinel
from analysis.model.sentinel.neighbors import POINTS_MAX

FloatArray = npt.NDArray[np.float64]
FITS = [MahalanobisFit, NearestNeighborsFit, IsolationForestFit]
KINDS: list[Kind] = ["Mahalanobis", "NearestNeighbors", "IsolationForest"]
FEATURES = ["errors", "latency", "latency>250ms", "cpu", "memory", "restarts", "heap", "queue"]


def _contrasts(seed: int, looks: int, features: int) -> FloatArray:
    """Correlated looks with a heavy tail, as contrasts are: neighbouring metrics move together."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((looks, features)) @ (
        np.eye(features) + 0.3 * rng.standard_normal((features, features))
    )
    return mixed * np.exp(0.3 * rng.standard_normal((looks, 1)))


def _rollouts(seed: int, count: int, looks: int = 20) -> list[FloatArray]:
    """Healthy rollouts: a look resembles the one before it."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, looks, len(FEATURES)))
    for at in range(1, looks):
        noise[:, at] = 0.7 * noise[:, at - 1] + np.sqrt(1 - 0.7**2) * noise[:, at]
    return list(noise)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("looks", "features"), [(2, 1), (40, 3), (700, 8), (2600, 12)])
def test_a_detector_scores_as_scikit_learn_does(fit: type[FittingDetector], looks: int, features: int) -> None:
    fitted = fit().fit(_contrasts(1, looks, features))
    asked = np.concatenate([_contrasts(2, 300, features), 1e3 * _contrasts(3, 20, features), np.zeros((1, features))])
    ours, theirs = fitted.export().anomaly(asked), -fitted.score_samples(asked)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_row_exactly_on_a_cut_goes_the_way_that_scikit_learn_takes() -> None:
    fitted = IsolationForestFit().fit(_contrasts(4, 500, 2))
    detector = fitted.export()
    cuts = np.array([(tree.feature[0], tree.threshold[0]) for tree in detector.trees])
    beside = np.concatenate([cuts[:, 1], np.nextafter(cuts[:, 1], -9), np.nextafter(cuts[:, 1], 9)])
    asked = np.column_stack([beside, beside[::-1]])
    np.testing.assert_allclose(detector.anomaly(asked), -fitted.score_samples(asked), rtol=1e-12)


@parametrize_with_checks([fit() for fit in FITS])
def test_the_fitting_half_keeps_scikit_learns_contract(estimator: Any, check: Any) -> None:
    if check.func.__name__ == "check_array_api_input":
        return  # Detectors support no array API; the check would only skip itself.
    check(estimator)


@pytest.mark.parametrize("module", [mahalanobis, neighbors, forest, sentinel, threshold])
def test_the_examples_alarm_where_they_say(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_scoring_never_imports_scikit_learn() -> None:
    program = "import sys, analysis.model.sentinel.look, analysis.model.drift; print('sklearn' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentinel_survives_its_artefact_bit_for_bit(kind: Kind) -> None:
    fitted = fit_sentinel(kind, FEATURES, _rollouts(5, 220))
    stored = canonical(fitted)
    read = parse_sentinel(stored, expected_digest=digest(fitted))
    asked = _contrasts(6, 50, len(FEATURES))
    assert read == fitted
    assert np.array_equal(read.detector.anomaly(asked), fitted.detector.anomaly(asked))
    # It fits into a ConfigMap.
    assert len(stored) < 1024 * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_history_gives_the_same_artefact(kind: Kind) -> None:
    assert digest(fit_sentinel(kind, FEATURES, _rollouts(7, 40))) == digest(
        fit_sentinel(kind, FEATURES, _rollouts(7, 40))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_new_healthy_rollouts_alarm_as_rarely_as_the_budget_says(kind: Kind) -> None:
    fitted = fit_sentinel(kind, FEATURES, _rollouts(8, 400))
    new = [fitted.detector.anomaly(rollout).max() for rollout in _rollouts(9, 400)]
    limit = threshold.trajectory_threshold(fitted.largest_scores, 0.1)
    assert limit is not None
    # 10 % with 200 + 400 rollouts: a standard error of 2.6 %.
    assert 0.03 < np.mean(np.array(new) > limit) < 0.18


def _found(kind: Kind, harm: FloatArray) -> float:
    fitted = fit_sentinel(kind, FEATURES, _rollouts(10, 400))
    limit = threshold.trajectory_threshold(fitted.largest_scores, 0.05)
    assert limit is not None
    return float(np.mean([fitted.detector.anomaly(rollout + harm).max() > limit for rollout in _rollouts(11, 100)]))


def test_one_metric_that_changes_is_seen_by_two_detectors_and_hardly_by_the_forest() -> None:
    harm = np.array([4.0] + 7 * [0.0])
    found = {kind: _found(kind, harm) for kind in KINDS}
    assert found["Mahalanobis"] > 0.85
    assert found["NearestNeighbors"] > 0.85
    assert found["IsolationForest"] < 0.4


def test_an_alarm_names_the_metrics_that_drove_it() -> None:
    fitted = fit_sentinel("Mahalanobis", FEATURES, _rollouts(12, 220))
    usual = dict.fromkeys(FEATURES, 0.1)
    found = look(fitted, usual | {"cpu": 7.0, "memory": 5.0}, budget=0.01)
    assert found is not None
    assert found.alarm
    assert [driver.feature for driver in found.drivers][:2] == ["cpu", "memory"]
    assert found.drivers[0].contrast == 7.0
    assert found.drivers[0].drop > found.drivers[1].drop > 10
    assert found.p_value == pytest.approx(1 / 111)
    quiet = look(fitted, usual, budget=0.01)
    assert quiet is not None
    assert not quiet.alarm
    assert quiet.p_value > 0.5


def test_a_sentinel_without_enough_rollouts_scores_and_never_alarms() -> None:
    fitted = fit_sentinel("NearestNeighbors", FEATURES, _rollouts(13, 40))
    found = look(fitted, {"cpu": 500.0}, budget=0.01)
    assert found is not None
    assert found.threshold is None
    assert not found.alarm
    assert found.seen == 1
    assert found.p_value == pytest.approx(1 / 21)


def test_a_look_without_data_is_no_look() -> None:
    fitted = fit_sentinel("Mahalanobis", FEATURES, _rollouts(14, 40))
    assert look(fitted, {"cpu": float("nan"), "unknown": 3.0}, budget=0.01) is None


def test_contrasts_are_in_standard_errors_and_bounded() -> None:
    assert contrast(0.3, 0.01) == pytest.approx(3.0)
    assert np.isnan([contrast(np.nan, 1.0), contrast(0.1, 0.0), contrast(0.1, -1.0), contrast(1.0, np.inf)]).all()
    wild = np.array([np.nan, np.inf, -1e9, 2.0])
    assert filled(wild).tolist() == [0.0, LARGEST_CONTRAST, -LARGEST_CONTRAST, 2.0]


def test_of_a_long_history_as_many_looks_are_kept_as_fit() -> None:
    history = _contrasts(15, 3 * POINTS_MAX, 2)
    points = NearestNeighborsFit().fit(history).export().points
    assert len(points) == POINTS_MAX
    assert points[0] == tuple(history[0])
    assert points[-1] == tuple(history[-1])


@pytest.mark.parametrize("kind", ["Mahalanobis", "NearestNeighbors"])
def test_a_metric_that_is_seldom_there_is_left_out_and_makes_nobody_blind(kind: Kind) -> None:
    rollouts = _rollouts(16, 220)
    for index, rollout in enumerate(rollouts):
        rollout[:, 5] = 0.0
        rollout[3, 5] = 1.4 if index % 7 == 0 else np.nan
        rollout[:, 6] = 2.0
    fitted = fit_sentinel(kind, FEATURES, rollouts)
    assert fitted.features == ("errors", "latency", "latency>250ms", "cpu", "memory", "queue")
    found = look(fitted, {"errors": 8.0, "latency": 8.0, "restarts": 1.4}, budget=0.01)
    assert found is not None
    assert found.alarm
    assert found.seen == 2


def test_a_history_that_shows_nothing_teaches_nothing() -> None:
    with pytest.raises(InvalidSpec, match="none is there in half of the looks"):
        fit_sentinel("Mahalanobis", FEATURES, [np.full((20, 8), np.nan)] * 8)


def test_too_little_history_is_said_with_numbers() -> None:
    with pytest.raises(MeasurementError, match="20 healthy looks are too few to learn 8 metrics: 80"):
        fit_sentinel("Mahalanobis", FEATURES, _rollouts(17, 1))
    with pytest.raises(MeasurementError, match="0 healthy looks"):
        fit_sentinel("Mahalanobis", FEATURES, [])
    with pytest.raises(InvalidSpec, match="give 8 columns"):
        fit_sentinel("Mahalanobis", FEATURES, [np.zeros((20, 3))])
