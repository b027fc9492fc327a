"""FailureModels that somebody wrote: what is wrong with them, with the field and a remedy."""

import doctest
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from analysis.errors import InvalidSpec
from analysis.failure_model_spec import FailureModelSpec
from analysis.model import decimals
from analysis.model.decimals import decimal_text, parse_decimal
from analysis.model.validate import validate_failure_model

Json = dict[str, Any]
DIGEST = "sha256:" + "0" * 64


def _model() -> Json:
    noise = {"omegaSquared": "0.465", "omegaSquaredUpper": "0.552", "tauSquared": "0.021", "tauSquaredUpper": "0.038"}
    errors = {
        "name": "http-errors",
        "queryDigest": DIGEST,
        "noise": noise,
        "loadElasticity": {"value": "0.12", "standardError": "0.05"},
        "tails": ["250ms", "500ms"],
        "tailNoise": [
            {**noise, "loadElasticity": {"value": "0.2", "standardError": "0.1"}},
            {"omegaSquared": "0.5", "tauSquared": "0.02"},
        ],
        "usage": {"perPodSecond": "0.021", "perLoadUnit": "0.0043"},
        "warmUp": "3m",
    }
    return {
        "rolloutRef": {"name": "checkout"},
        "validUntil": "2027-01-20T00:00:00Z",
        "window": "30s",
        "metrics": [errors],
        "calibration": {"healthyRollouts": ["-0.41", "0.07"], "placebos": {"count": 500, "quantile99": "3.10"}},
        "sentinel": {
            "type": "Mahalanobis",
            "onAnomaly": "Fail",
            "budget": "0.2%",
            "artifact": {"configMapRef": {"name": "checkout-sentinel", "key": "model.json"}, "digest": DIGEST},
        },
    }


def _problems(model: Json) -> tuple[InvalidSpec, ...]:
    return validate_failure_model(msgspec.convert(model, FailureModelSpec))


def _set(*path: Any, to: Any) -> Callable[[Json], None]:
    def damage(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return damage


def test_a_whole_model_has_no_problem_and_the_least_one_neither() -> None:
    assert _problems(_model()) == ()
    assert _problems({"rolloutRef": {"name": "checkout"}, "window": "30s"}) == ()


FIRST = ("metrics", 0)


def test_more_tails_than_are_used_are_told() -> None:
    model = _model()
    model["metrics"][0] |= {"tails": ["250ms"] * 9, "tailNoise": []}
    assert [problem.field for problem in _problems(model)] == ["spec.metrics[0].tails"]


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (_set("rolloutRef", "name", to=""), "rolloutRef.name"),
        (_set("window", to=""), "window"),
        (_set("window", to="0s"), "window"),
        (_set("window", to="-30s"), "window"),
        (_set("window", to="often"), "window"),
        (_set("validUntil", to="tomorrow"), "validUntil"),
        (_set("validUntil", to="2027-01-20T00:00:00"), "validUntil"),
        (_set("validUntil", to="0001-01-01T00:00:00+23:59"), None),
        (_set("metrics", to=[_model()["metrics"][0]] * 2), "metrics[1].name"),
        (_set("metrics", to=[_model()["metrics"][0]] * 65), "metrics"),
        (_set(*FIRST, "name", to=""), "metrics[0].name"),
        (_set(*FIRST, "queryDigest", to="sha256:e1d2"), "metrics[0].queryDigest"),
        (_set(*FIRST, "noise", "omegaSquared", to="nan"), "metrics[0].noise.omegaSquared"),
        (_set(*FIRST, "noise", "omegaSquared", to="1e-3"), "metrics[0].noise.omegaSquared"),
        (_set(*FIRST, "noise", "omegaSquared", to="-0.1"), "metrics[0].noise.omegaSquared"),
        (_set(*FIRST, "noise", "omegaSquared", to="٣"), "metrics[0].noise.omegaSquared"),
        (_set(*FIRST, "noise", "omegaSquared", to="0.6"), "metrics[0].noise.omegaSquaredUpper"),
        (_set(*FIRST, "noise", "tauSquared", to="100.5"), "metrics[0].noise.tauSquared"),
        (_set(*FIRST, "noise", "tauSquaredUpper", to="9" * 99), "metrics[0].noise.tauSquaredUpper"),
        (_set(*FIRST, "loadElasticity", "value", to="-11"), "metrics[0].loadElasticity.value"),
        (_set(*FIRST, "loadElasticity", "standardError", to="-1"), "metrics[0].loadElasticity.standardError"),
        (_set(*FIRST, "usage", "perLoadUnit", to="-1"), "metrics[0].usage.perLoadUnit"),
        (_set(*FIRST, "usage", "perPodSecond", to=""), "metrics[0].usage.perPodSecond"),
        (_set(*FIRST, "tails", to=["250ms", "0s"]), "metrics[0].tails[1]"),
        (_set(*FIRST, "tailNoise", to=[]), None),
        (_set(*FIRST, "tailNoise", to=_model()["metrics"][0]["tailNoise"][:1]), "metrics[0].tailNoise"),
        (_set(*FIRST, "tailNoise", 1, "tauSquared", to="-1"), "metrics[0].tailNoise[1].tauSquared"),
        (
            _set(*FIRST, "tailNoise", 0, "loadElasticity", "value", to="11"),
            "metrics[0].tailNoise[0].loadElasticity.value",
        ),
        (_set(*FIRST, "warmUp", to="-3m"), "metrics[0].warmUp"),
        (_set("calibration", "healthyRollouts", 1, to="inf"), "calibration.healthyRollouts[1]"),
        (_set("calibration", "healthyRollouts", to=["0"] * 10_001), "calibration.healthyRollouts"),
        (_set("calibration", "placebos", "count", to=-1), "calibration.placebos.count"),
        (_set("calibration", "placebos", "quantile99", to="much"), "calibration.placebos.quantile99"),
        (_set("sentinel", "budget", to=None), "sentinel.budget"),
        (_set("sentinel", "budget", to="0%"), "sentinel.budget"),
        (_set("sentinel", "budget", to="100%"), "sentinel.budget"),
        (_set("sentinel", "budget", to="{{args.x}}"), "sentinel.budget"),
        (_set("sentinel", "onAnomaly", to="Pause"), "sentinel.budget"),
        (_set("sentinel", "artifact", "digest", to=""), "sentinel.artifact.digest"),
        (_set("sentinel", "artifact", "configMapRef", to=None), "sentinel.artifact"),
        (_set("sentinel", "artifact", "url", to="oci://registry/sentinel"), "sentinel.artifact"),
        (_set("sentinel", "artifact", to={"digest": DIGEST, "url": "http://x"}), "sentinel.artifact.url"),
        (_set("sentinel", "artifact", to={"digest": DIGEST, "url": "oci://x/y"}), "sentinel.artifact.url"),
    ],
)
def test_each_problem_names_its_field_alone(damage: Callable[[Json], None], place: str | None) -> None:
    model = _model()
    damage(model)
    assert {problem.field for problem in _problems(model)} == ({f"spec.{place}"} if place else set())


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (123456.7, "123457"),
        (-1.5, "-1.5"),
        (1e-30, "0"),
        (1e14, "100000000000000"),
        (0.00000025, "0.00000025"),
        (9.87654e14, "987654000000000"),
    ],
)
def test_numbers_have_one_text(number: float, text: str) -> None:
    assert decimal_text(number, "x") == text
    assert parse_decimal(text, "x") == pytest.approx(number, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e15, -1e15, 9.999999e14])
def test_what_is_no_decimal_is_not_written(number: float) -> None:
    with pytest.raises(InvalidSpec, match="cannot be written"):
        decimal_text(number, "x")


def test_a_number_out_of_bounds_is_told_the_bounds() -> None:
    with pytest.raises(InvalidSpec, match="from 0 to 1"):
        parse_decimal("1.5", "x", 0, 1)
    with pytest.raises(InvalidSpec, match="from 0 on"):
        parse_decimal("-1.5", "x", 0)


def test_the_examples_of_decimals_hold() -> None:
    assert doctest.testmod(decimals).failed == 0
