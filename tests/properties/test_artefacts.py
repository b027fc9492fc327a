"""Artefacts of strangers: whatever the bytes, an artefact or the one declared error, in bounded memory."""

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.errors import InvalidSpec
from analysis.failure_model_spec import FailureModelSpec
from analysis.model.artefact import canonical, digest, parse_artefact
from analysis.model.query import normalised, query_digest
from analysis.model.strict_json import MAX_BYTES, read_json

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


@pytest.mark.parametrize(
    "part", [b"[],", b'"",', b'"\\"', b"[", b"{", b'"', b"1.5,", b"-", b'{"a":', b'"\\ud800",', b"1e5,", b"\\"]
)
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
    assert peak < 30 * MAX_BYTES


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
