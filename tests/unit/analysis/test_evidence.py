"""The mathematics that all families share, against plain formulas: likelihoods, mixtures, shares, special functions."""

import math

import numpy as np
import pytest

from analysis.evidence import combined
from analysis.evidence.grid import GRID, STEP, harm_prior, interval_prior, safe_prior, smooth
from analysis.evidence.likelihood import BOUND_MAX, NORMAL_MIXTURE, GridLikelihood, NormalLikelihood
from analysis.evidence.noise import PRIORS, Noise, prior_noise
from analysis.evidence.special import log_normal_cdf, log_normal_density, log_rising, log_sum_exp


def peaked(u: float, information: float) -> GridLikelihood:
    return GridLikelihood(-0.5 * information * (GRID - u) ** 2)


def normal(u: float, variance: float = 1e-3) -> NormalLikelihood:
    return NormalLikelihood(u, u, variance, 0.05)


def test_a_rising_factorial_is_that_of_the_standard_library_and_keeps_its_digits() -> None:
    z = np.concatenate([np.logspace(-6, 6, 300), np.arange(1.0, 40.0), [9.999999, 10.0, 10.000001]])
    n = np.resize(np.array([0.0, 1.0, 0.3, 7.0, 500.0]), z.size)
    plain = np.array([math.lgamma(a + b) - math.lgamma(a) for a, b in zip(z, n, strict=True)])
    assert np.allclose(log_rising(z, n), plain, rtol=1e-8, atol=1e-8)
    assert float(log_rising(np.array([1e15]), np.array([3.0]))[0]) == pytest.approx(3 * math.log(1e15), rel=1e-15)
    assert float(log_rising(np.array([1e-40]), np.array([2.0]))[0]) == pytest.approx(math.log(1e-40), rel=1e-15)


def test_logarithms_of_normal_functions_hold_in_the_far_tail() -> None:
    assert log_normal_density(0.3, 0.04) == pytest.approx(math.log(math.exp(-1.125) / math.sqrt(2 * math.pi * 0.04)))
    assert log_normal_cdf(0.0) == pytest.approx(math.log(0.5))
    assert log_normal_cdf(-29.99) == pytest.approx(log_normal_cdf(-30.01) + 0.02 * 30.03, rel=1e-4)
    assert log_normal_cdf(-1e4) == pytest.approx(-0.5e8 - math.log(1e4 * math.sqrt(2 * math.pi)))


def test_sums_of_exponentials_know_nothing_and_the_infinite() -> None:
    assert log_sum_exp(np.array([])) == -math.inf
    assert log_sum_exp(np.array([-math.inf, -math.inf])) == -math.inf
    assert log_sum_exp(np.array([1000.0, 1000.0])) == pytest.approx(1000 + math.log(2))


def test_priors_hold_for_windows_of_thirty_seconds_and_are_scaled_to_others() -> None:
    assert prior_noise(30.0) == PRIORS["Counts"]
    assert prior_noise(1.0).omega2 == pytest.approx(30 * PRIORS["Counts"].omega2)
    assert prior_noise(1.0, "Level").tau2 == PRIORS["Level"].tau2
    assert not prior_noise(30.0).certified
    assert Noise(0.1, 0.1, source="sha256:a").certified


@pytest.mark.parametrize("weights", [harm_prior(0.1), safe_prior(0.4), interval_prior()], ids=["harm", "safe", "all"])
def test_mixtures_sum_to_one(weights: "np.typing.NDArray[np.float64]") -> None:
    assert log_sum_exp(weights) == pytest.approx(0.0, abs=1e-9)


def test_a_mixture_lies_on_its_side_of_the_bound() -> None:
    assert float(np.exp(harm_prior(0.1))[GRID <= 0.1].sum()) < 1e-200
    assert float(np.exp(safe_prior(0.4))[GRID >= 0.4].sum()) < 1e-200


def test_evidence_of_harm_is_the_mixture_over_the_best_of_the_null() -> None:
    likelihood = peaked(0.5, 200.0)
    mixture = math.log(float((np.exp(harm_prior(0.08)) * np.exp(likelihood.values)).sum()))
    assert likelihood.harm_log_evidence(0.08, 0.1) == pytest.approx(mixture - likelihood.at(np.array([0.08]))[0])


def test_evidence_counts_while_the_estimate_is_harm_and_speaks_against_it_otherwise() -> None:
    assert peaked(0.2, 1e4).harm_log_evidence(0.0143, 0.1) > math.log(100)
    assert peaked(0.2, 1e4).harm_log_evidence(0.0143, 0.3) == 0
    assert peaked(-0.2, 1e4).harm_log_evidence(0.0143, 0.1) < -10
    assert normal(0.2).harm_log_evidence(0.01, 0.05) > math.log(100)
    assert normal(0.2).harm_log_evidence(0.01, 0.3) == 0
    assert normal(-0.2).harm_log_evidence(0.01, 0.05) < -3


def test_a_flat_likelihood_says_nothing() -> None:
    for unknown in (GridLikelihood(np.zeros_like(GRID)), NormalLikelihood(0.0, 0.0, math.inf, 0.05)):
        assert not unknown.known
        assert unknown.estimate() is None
        assert unknown.harm_log_evidence(0.01, 0.0) == 0
        assert unknown.safe_log_evidence(0.4) == 0
        assert not unknown.at(GRID).any()


def test_a_bound_at_the_end_of_the_grid_leaves_no_alternative() -> None:
    assert peaked(3.0, 100.0).harm_log_evidence(BOUND_MAX, 0.0) == 0
    assert peaked(0.0, 100.0).safe_log_evidence(0.0) == 0
    assert normal(0.0).safe_log_evidence(0.0) == 0


def test_harm_is_excluded_at_a_margin_that_the_data_are_far_from() -> None:
    for likelihood in (peaked(0.0, 1e3), normal(0.0)):
        assert likelihood.safe_log_evidence(0.4) > math.log(20)
        assert likelihood.safe_log_evidence(0.02) < math.log(20)
    assert peaked(0.4, 1e3).safe_log_evidence(0.4) <= 0


def test_the_one_sided_mixture_of_a_normal_is_the_integral() -> None:
    u, variance, delta, unit = 0.13, 0.002, 0.01, 0.05
    x = np.linspace(delta, delta + 60, 2_000_001)
    prior = sum(
        w * 2 * np.exp(-0.5 * ((x - delta) / (m * unit)) ** 2) / (m * unit * math.sqrt(2 * math.pi))
        for m, w in NORMAL_MIXTURE
    )
    likelihood = np.exp(-0.5 * (u - x) ** 2 / variance)
    integral = math.log(float(np.trapezoid(prior * likelihood, x))) + 0.5 * (u - delta) ** 2 / variance
    found = NormalLikelihood(u, u, variance, unit).harm_log_evidence(delta, 0.0)
    assert found == pytest.approx(integral, rel=1e-4)


def test_an_interval_contains_the_estimate_and_shrinks_with_data() -> None:
    for wide, narrow in ((peaked(0.3, 50.0), peaked(0.3, 5000.0)), (normal(0.3, 0.02), normal(0.3, 0.0002))):
        first, second = wide.estimate(), narrow.estimate()
        assert first is not None
        assert second is not None
        assert first.lower < second.lower < second.u < second.upper < first.upper
        assert second.u == pytest.approx(0.3, abs=STEP / 2)


def test_two_views_widen_the_interval_and_the_milder_one_is_judged() -> None:
    both = NormalLikelihood(0.02, 0.2, 1e-4, 0.05)
    found = both.estimate()
    assert found is not None
    assert found.lower < 0.02
    assert found.upper > 0.2
    assert both.harm_log_evidence(0.01, 0.05) <= 0 < normal(0.2, 1e-4).harm_log_evidence(0.01, 0.05)
    assert both.safe_log_evidence(0.18) < 0
    assert both.mirrored() == NormalLikelihood(-0.2, -0.02, 1e-4, 0.05)


def test_mirrored_twice_is_the_same() -> None:
    likelihood = peaked(0.36, 40.0)
    assert np.array_equal(likelihood.mirrored().mirrored().values, likelihood.values)
    assert float(GRID[likelihood.mirrored().values.argmax()]) == pytest.approx(-0.36)


def test_smoothing_keeps_the_mass_and_adds_the_variance() -> None:
    likelihood = -0.5 * ((GRID - 1.0) / 0.1) ** 2
    wide = smooth(likelihood, 0.09)
    assert log_sum_exp(wide) == pytest.approx(log_sum_exp(likelihood), abs=1e-6)
    kept = np.exp(wide - log_sum_exp(wide))
    assert float((kept * (GRID - 1.0) ** 2).sum()) == pytest.approx(0.01 + 0.09, rel=0.02)
    assert smooth(likelihood, 1e-9) is likelihood
    flat = np.zeros_like(GRID)
    assert smooth(flat, 0.09) is flat


def test_shares_sum_to_one_and_that_of_many_small_harms_is_reserved() -> None:
    shares = combined.metric_shares({"a": 25, "b": 35})
    assert sum(shares.values()) + combined.COMBINED_WEIGHT / 70 == pytest.approx(1)
    assert shares["b"] / shares["a"] == pytest.approx(35 / 25)
    assert combined.start_shares(1) == (1.0,)
    assert sum(combined.start_shares(4)) == pytest.approx(1)


def test_evidence_over_starts_is_the_weighted_mean_and_what_has_not_come_is_one() -> None:
    assert combined.over_starts([0.0], (0.4, 0.6)) == pytest.approx(0.0)
    assert combined.over_starts([math.log(10), 0.0], (0.4, 0.6)) == pytest.approx(math.log(4.6))
    assert combined.over_starts([math.log(10), 0.0, 50.0], (0.4, 0.6)) == pytest.approx(math.log(4.6))
    assert combined.over_starts([math.log(10)], (0.4, 0.6)) == pytest.approx(math.log(4.6))


def test_evidence_over_metrics_is_the_weighted_mean() -> None:
    assert combined.over_shares([math.log(280), 0.0], [25 / 70, 35 / 70]) == pytest.approx(math.log(100 + 45 / 70))
    assert combined.over_shares([5.0], [0.0]) == pytest.approx(0.0)


def test_many_small_harms_are_seen_together_and_one_alone_is_not_joint() -> None:
    parts = [(normal(0.12, 0.002), 0.1) for _ in range(8)]
    assert combined.joint_log_evidence(parts) > max(part.harm_log_evidence(0.01, 0.05) for part, _ in parts)
    assert combined.joint_log_evidence(parts[:1]) == 0
    assert combined.joint_log_evidence([(part, 0.0) for part, _ in parts]) == 0
    healthy = [(normal(0.0, 0.002), 0.1) for _ in range(8)]
    assert combined.joint_log_evidence(healthy) < 0
