"""Artefacts of models: one text for one meaning, and clear words for everything else."""

import doctest
import json
import math
from typing import Any

import msgspec
import pytest

from analysis.errors import InvalidSpec
from analysis.failure_model_spec import FailureModelSpec
from analysis.model import query
from analysis.model.artefact import canonical, digest, parse_artefact
from analysis.model.query import normalised, query_digest
from analysis.model.strict_json import MAX_BYTES, MAX_DEPTH, MAX_PIECES


class Point(msgspec.Struct, frozen=True):
    name: str
    at: tuple[float, ...]
    count: int = 0


SPEC = {
    "rolloutRef": {"name": "checkout"},
    "window": "30s",
    "training": {"from": "2026-11-05T00:00:00Z", "segments": 96},
    "metrics": [
        {
            "name": "http-errors",
            "queryDigest": "sha256:e1d2",
            "noise": {"omegaSquared": "0.465", "tauSquared": "0.021"},
            "tails": ["250ms"],
        }
    ],
    "calibration": {"healthyRollouts": ["-0.41", "0.07"]},
}


def test_the_canonical_text_has_sorted_keys_no_spaces_and_one_spelling_of_numbers() -> None:
    point = Point("käse", (1, -0.0, 0.1, 1e22))
    assert canonical(point) == '{"at":[1.0,0.0,0.1,1e+22],"count":0,"name":"käse"}'.encode()


def test_a_model_has_one_digest_in_whatever_order_and_indentation_it_was_stored() -> None:
    spec = parse_artefact(json.dumps(SPEC).encode(), FailureModelSpec)
    turned = json.dumps({**dict(reversed(SPEC.items())), "mode": "Shadow"}, indent=2).encode() + b"\n"
    again = parse_artefact(turned, FailureModelSpec)
    assert spec == again
    assert digest(spec) == digest(again)
    assert parse_artefact(canonical(spec), FailureModelSpec, expected_digest=digest(spec)) == spec


def test_the_digest_of_a_known_model_never_changes() -> None:
    # A new version of the program must find the models of the old one.
    assert (
        digest(Point("a", (0.5, 3.0), 7)) == "sha256:84c42b710fd1962b537be73135f8584961221c3a56a83e09ff09207930c2833a"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} levels"),
        (b"[" + b"[]," * MAX_PIECES + b"1]", f"more than {MAX_PIECES} strings"),
        (b'["' + b'","' * MAX_PIECES + b'"]', f"more than {MAX_PIECES} strings"),
        (b"]" * 2 * MAX_PIECES, f"more than {MAX_PIECES} strings"),
        (b"]", "is no JSON"),
        (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES} are read"),
        (b'{"name": "a", "at": [NaN]}', "NaN is no number"),
        (b'{"name": "a", "at": [-Infinity]}', "-Infinity is no number"),
        (b'{"name": "a", "at": [1e999]}', "1e999 is too large"),
        (b'{"name": "a", "at": [1], "count": 99999999999999999}', "99999999999999999 is larger than"),
        (b'{"name": "a", "at": [1], "count": ' + b"9" * 9999 + b"}", "is larger than"),
        (b'{"name": "a", "name": "b", "at": []}', "the key 'name' is there twice"),
        (b'{"name": "\xff", "at": []}', "is no JSON"),
        (b'{"name": "\\ud800", "at": []}', "half of a surrogate pair"),
        (b'{"name": "a", "at": [1, "2"]}', "artefact.at[1]: Expected `float`, got `str`"),
        (b'{"name": "a", "at": [true]}', "Expected `float`, got `bool`"),
        (b'{"name": "a"}', "missing required field `at`"),
        (b"[]", "artefact: Expected `object`, got `array`"),
        (b"", "is no JSON"),
        (b'{"name": "a", "at": []} {}', "is no JSON"),
    ],
)
def test_what_is_no_artefact_is_refused_with_its_reason(data: bytes, words: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_artefact(data, Point)
    assert words in str(caught.value)
    assert caught.value.remedy


def test_brackets_in_strings_are_text() -> None:
    name = "[{" * MAX_PIECES + '"\\'
    assert parse_artefact(json.dumps({"name": name, "at": []}).encode(), Point).name == name


def test_another_artefact_than_the_manifest_names_is_refused() -> None:
    named = digest(Point("a", (1.0,)))
    with pytest.raises(InvalidSpec, match="same export") as caught:
        parse_artefact(canonical(Point("a", (1.0000000000000002,))), Point, expected_digest=named)
    assert caught.value.field == "artefact.digest"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_never_written(number: float) -> None:
    with pytest.raises(InvalidSpec) as caught:
        canonical(Point("a", (0.0, number)))
    assert caught.value.field == "artefact.at[1]"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sum by (pod) (x)", "sum  by(pod)(x)  "),
        ('x{a="b", c=~"d"}', 'x{ a = "b",\n c =~ "d" } # why'),
        ("a or b", "a   # first\n or\tb"),
        ("x[5m]", "x [ 5m ]"),
    ],
)
def test_whitespace_and_comments_do_not_change_a_query(one: str, other: str) -> None:
    assert query_digest(one) == query_digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a or b", "aorb"),
        ('x{a="b c"}', 'x{a="bc"}'),
        ('x{a="b # c"}', 'x{a="b "}'),
        (r'x{a="\" b"}', r'x{a="\"b"}'),
        ("x{a=`b\\`} y", "x{a=`b\\`}"),
        ('x{a="b", c="d"}', 'x{c="d", a="b"}'),
        ('x{a="b"}', "x{a='b'}"),
        ('x{a="é"}', 'x{a="e\u0301"}'),
    ],
)
def test_what_may_be_another_query_has_another_digest(one: str, other: str) -> None:
    assert query_digest(one) != query_digest(other)


def test_two_queries_are_not_mistaken_for_others() -> None:
    queries: list[tuple[Any, ...]] = [("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"), ("a1:b",)]
    assert len({query_digest(*each) for each in queries}) == len(queries)


def test_the_example_of_a_normalised_query_holds() -> None:
    assert doctest.testmod(query).failed == 0
    assert normalised("") == ""
