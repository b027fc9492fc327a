"""Artefacts of strangers: whatever the bytes, an artefact or the one declared error, in bounded memory."""

import json
import tracemalloc
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.errors import InvalidSpec
from analysis.failure_model_spec import FailureModelSpec
from analysis.model.artefact import canonical, digest, parse_artefact
from analysis.model.decimals import decimal_text, parse_decimal
from analysis.model.query import normalised, query_digest
from analysis.model.sentinel.contrasts import filled
from analysis.model.sentinel.fit.sentinel import Kind, fit_sentinel
from analysis.model.sentinel.forest import IsolationForestDetector
from analysis.model.sentinel.look import look
from analysis.model.sentinel.model import SentinelModel, parse_sentinel
from analysis.model.strict_json import MAX_BYTES, read_json
from analysis.model.validate import validate_failure_model

_KINDS: list[Kind] = ["Mahalanobis", "NearestNeighbors", "IsolationForest"]


def _small(sentinel: SentinelModel) -> SentinelModel:
    """Five trees break as well as a hundred."""
    detector = sentinel.detector
    if isinstance(detector, IsolationForestDetector):
        detector = msgspec.structs.replace(detector, trees=detector.trees[:5])
    return msgspec.structs.replace(sentinel, detector=detector)


_HISTORY = list(np.random.default_rng(1).standard_normal((12, 10, 2)))

_sentinels = st.sampled_from([_small(fit_sentinel(kind, ["a", "b"], _HISTORY)) for kind in _KINDS])
_contrasts = arrays(np.float64, (7, 2), elements=st.floats() | st.floats(-5, 5))

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_keys = st.sampled_from(sorted(FailureModelSpec.__struct_encode_fields__)) | st.text(max_size=4)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4), max_leaves=20
)
_decimals = st.floats(0, 1e6).map(repr)
_metrics = st.builds(
    dict,
    name=st.text(max_size=8),
    queryDigest=st.text(max_size=8),
    noise=st.fixed_dictionaries({"omegaSquared": _decimals, "tauSquared": _decimals}),
    tails=st.lists(st.text(max_size=5), max_size=3),
)
_specs = st.fixed_dictionaries(
    {"rolloutRef": st.fixed_dictionaries({"name": st.text(max_size=8)}), "window": st.just("30s")},
    optional={
        "mode": st.sampled_from(["Shadow", "Enforce"]),
        "metrics": st.lists(_metrics, max_size=3),
        "calibration": st.fixed_dictionaries({"healthyRollouts": st.lists(_decimals, max_size=5)}),
    },
)


def _parsed(data: bytes) -> FailureModelSpec | None:
    try:
        return parse_artefact(data, FailureModelSpec)
    except InvalidSpec:
        return None


@given(_specs, st.randoms(use_true_random=False))
def test_a_spec_survives_its_text_in_any_order(spec: dict[str, Any], random: Any) -> None:
    keys = list(spec)
    random.shuffle(keys)
    read = _parsed(json.dumps({key: spec[key] for key in keys}, indent=random.choice([None, 1, 3])).encode())
    assert read == msgspec.convert(spec, FailureModelSpec)
    assert parse_artefact(canonical(read), FailureModelSpec, expected_digest=digest(read)) == read


@given(_specs, _specs)
def test_two_specs_have_one_digest_only_when_they_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (msgspec.convert(each, FailureModelSpec) for each in (one, other))
    assert (digest(first) == digest(second)) == (first == second)


@given(st.binary(max_size=300))
@example(b'{"window":"\\')
@example(b"-" * 50)
@example(b"\xef\xbb\xbf{}")
def test_random_bytes_are_refused_with_the_declared_error(data: bytes) -> None:
    _parsed(data)


@given(_json)
def test_any_json_is_an_artefact_or_refused(value: Any) -> None:
    _parsed(json.dumps(value).encode())


@given(_specs, st.data())
def test_a_damaged_artefact_is_an_artefact_or_refused(spec: dict[str, Any], data: st.DataObject) -> None:
    text = bytearray(json.dumps(spec).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=4)
            | st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b"1e999", b"NaN", b"null"])
        )
    _parsed(bytes(text))


@pytest.mark.parametrize("part", [b"[],", b'"",', b'"\\"', b"[", b'"', b"1.5,", b"\\"])
def test_the_largest_texts_are_read_in_bounded_memory(part: bytes) -> None:
    data = b"[" + part * ((MAX_BYTES - 4) // len(part)) + b"1]"
    tracemalloc.start()
    try:
        read_json(data, "artefact")
    except InvalidSpec:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 12 * MAX_BYTES


@given(st.text(alphabet=st.sampled_from("ab\"'`\\# \n\t{}=,()~")) | st.text())
@example("\ud800 # x")
def test_a_normalised_query_stays_as_it_is(query: str) -> None:
    once = normalised(query)
    assert normalised(once) == once
    assert query_digest(query) == query_digest(once)


@given(st.lists(st.sampled_from(["a", "or", "b", "(", ")", "{", "}", '"x y"', "'#'", "=", ","]), min_size=1), st.data())
def test_whitespace_between_tokens_means_nothing(tokens: list[str], data: st.DataObject) -> None:
    gap = st.sampled_from([" ", "\n", "\t ", " # words \"' \n", "  "])
    one, other = ("".join(token + data.draw(gap) for token in tokens) for _ in range(2))
    assert normalised(one) == normalised(other)


_Step = str | int
_HOSTILE = st.sampled_from(
    [None, True, -1, 0, 1, 2, 255, 2**53, 1e-320, 1e6, 1e308, "", "x", [], {}, [0], [[0.0, 0.0]], [1.0, 1.0]]
)


def _places(value: Any, at: tuple[_Step, ...] = ()) -> list[tuple[_Step, ...]]:
    """Every place of some JSON; of long arrays the first five."""
    inner: list[tuple[_Step, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))[:5]
    return [at, *(place for step, child in inner for place in _places(child, (*at, step)))]


def _damaged(value: Any, place: tuple[_Step, ...], to: Any) -> Any:
    if not place:
        return to
    copy = value.copy()
    copy[place[0]] = _damaged(value[place[0]], place[1:], to)
    return copy


@settings(max_examples=300)
@given(_sentinels, st.data())
def test_a_damaged_sentinel_scores_or_is_refused(sentinel: SentinelModel, data: st.DataObject) -> None:
    plain = json.loads(canonical(sentinel))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(_places(plain)))
        plain = _damaged(plain, place, data.draw(_HOSTILE))
    try:
        read = parse_sentinel(json.dumps(plain).encode())
    except InvalidSpec:
        return
    seen = look(read, dict.fromkeys(read.features, 3.0), budget=0.2)
    assert seen is not None
    assert np.isfinite([seen.score, seen.p_value, *(driver.drop for driver in seen.drivers)]).all()
    assert parse_sentinel(canonical(read), expected_digest=digest(read)) == read


@given(_sentinels, _contrasts)
def test_every_contrast_gets_a_finite_score_and_each_row_its_own(
    sentinel: SentinelModel, contrasts: npt.NDArray[np.float64]
) -> None:
    rows = filled(contrasts)
    scores = sentinel.detector.anomaly(rows)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    alone = np.concatenate([sentinel.detector.anomaly(row[np.newaxis]) for row in rows])
    np.testing.assert_allclose(scores, alone, rtol=1e-12)
    np.testing.assert_allclose(sentinel.detector.anomaly(rows[::-1]), scores[::-1], rtol=1e-12)


@given(_sentinels, st.floats(-8, 8), st.floats(-8, 8))
def test_the_largest_driver_of_an_alarm_is_a_metric_that_was_seen(
    sentinel: SentinelModel, one: float, other: float
) -> None:
    seen = look(sentinel, {"a": one, "b": other}, budget=0.2)
    assert seen is not None
    drops = [driver.drop for driver in seen.drivers]
    assert drops == sorted(drops, reverse=True)
    assert all(drop > 0 for drop in drops)
    alone = look(sentinel, {"a": one}, budget=0.2)
    assert alone is not None
    assert alone.seen == 1
    assert alone == replace(look(sentinel, {"a": one, "b": 0.0}, budget=0.2) or alone, seen=1)


@given(_specs)
def test_any_spec_is_valid_or_has_problems_that_name_a_field(spec: dict[str, Any]) -> None:
    for problem in validate_failure_model(msgspec.convert(spec, FailureModelSpec)):
        assert problem.field.startswith("spec.")


@given(st.floats(-1e14, 1e14))
def test_a_decimal_is_written_in_one_way(number: float) -> None:
    text = decimal_text(number, "x")
    assert decimal_text(parse_decimal(text, "x"), "x") == text
    assert parse_decimal(text, "x") == pytest.approx(number, rel=1e-5, abs=1e-12)
