"""Records: they replay to the same judgement, bit for bit, and refuse what is none."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from analysis import record
from analysis.judgement import WeightChange
from analysis.record import RecordError, decode, digest, replay
from tests.support.any_tables import BOUNDS, RULES
from tests.support.judging import START, WINDOW, Look, Scenario, arm, judged, looks, rules_of, table


def whole_run(windows: int = 30) -> Scenario:
    """A run of all families, at two weights."""
    random = np.random.default_rng(7)
    tables = {}
    for rule in RULES:
        columns = 5 if rule.name == "latency" else 1 if rule.name in ("pool", "full", "memory") else 2
        arms = []
        for pods, prefix in ((2, "new"), (4, "old")):
            amounts = random.poisson(40.0, (pods, windows, columns)).astype(np.float64) / (50 if columns == 1 else 1)
            if columns == 2 and rule.name != "cpu":
                amounts[:, :, 0] = random.binomial(amounts[:, :, 1].astype(int), 0.1)
            arms.append(arm(prefix, amounts))
        tables[rule.name] = table(arms[0], arms[1], BOUNDS if columns == 5 else ())
    changes = (WeightChange(START, 10), WeightChange(START + 300, 33))
    return Scenario(rules_of(*RULES, increases=2), tables, changes)


@pytest.fixture(scope="module")
def look() -> Look:
    return judged(whole_run(), (120.0, 500.0, 890.0))


def test_a_record_replays_to_the_same_judgement_and_to_the_same_bytes(look: Look) -> None:
    replayed = replay(look.record)
    assert replace(replayed, record_digest="") == look.judgement
    assert replayed.record_digest == digest(look.record)
    assert decode(look.record).encoded() == look.record


def test_a_record_does_not_depend_on_the_looks_before(look: Look) -> None:
    assert judged(whole_run(), (890.0,)).record == look.record


def test_numbers_of_all_sizes_survive(look: Look) -> None:
    run = whole_run()
    tables = dict(run.tables)
    amounts = np.array([1e-9, 1 / 3, 1e15, 0.1 + 0.2])[None, :, None] * np.ones((2, 1, 2))
    tables["cpu"] = table(arm("new", amounts), arm("old", amounts))
    seen = judged(replace(run, tables=tables), (120.0,))
    assert decode(seen.record).judged() == seen.judgement


def changed(look: Look, change: Any) -> bytes:
    document = msgspec.json.decode(look.record)
    change(document)
    return msgspec.json.encode(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(version=1),
        lambda d: d.update(budget=0.0),
        lambda d: d.update(budget=0.9),
        lambda d: d["rules"].pop(),
        lambda d: d["rules"][0].pop("family"),
        lambda d: d["rules"][0].update(family={"Counts": {}, "Gauge": {}}),
        lambda d: d["rules"][0].update(family={"Histograms": {}}),
        lambda d: d["rules"][0].update(family={"Counts": {"limit": "much"}}),
        lambda d: d["rules"][0].update(interval_seconds=0),
        lambda d: d["rules"][0].update(interval_seconds="30"),
        lambda d: d["rules"][0].update(budget_weight=0),
        lambda d: d["rules"][0].update(direction="Sideways"),
        lambda d: d["metrics"][0]["noise"]["main"].update(omega2=-1.0),
        lambda d: d["metrics"][0]["noise"]["main"].pop("tau2"),
        lambda d: d["metrics"][0].update(state="Asleep"),
        lambda d: d["metrics"][0]["blocks"][0]["canary"]["amounts"][0].pop(),
        lambda d: d["metrics"][0]["blocks"][0]["canary"]["pods"].pop(),
        lambda d: d["metrics"][0]["blocks"][0].pop("raw"),
        lambda d: d["metrics"][0]["blocks"].append(7),
        lambda d: d["metrics"].append(d["metrics"][0]),
        lambda d: d.update(weight_increases=10**18),
    ],
)
def test_a_record_that_was_changed_into_nonsense_is_refused(look: Look, change: Any) -> None:
    with pytest.raises(RecordError):
        replay(changed(look, change))


@pytest.mark.parametrize("number", [0, -1, 1e308, -1e308, 1e11, -1e9, 10**18, 1e-320])
def test_numbers_that_no_run_has_seen_are_judged_or_refused_in_our_words(look: Look, number: float) -> None:
    document = msgspec.json.decode(look.record)
    tried = refused = 0
    for holder, key in _numbers(document):
        was, holder[key] = holder[key], number
        tried += 1
        try:
            replay(msgspec.json.encode(document))
        except RecordError:
            refused += 1
        holder[key] = was
    assert tried > 100
    assert 0 < refused < tried
    assert replay(msgspec.json.encode(document)).verdict is look.judgement.verdict


def _numbers(part: Any) -> Iterator[tuple[Any, Any]]:
    """Where the numbers of a document are; of long lists the first two."""
    places = part.items() if isinstance(part, dict) else enumerate(part[:2]) if isinstance(part, list) else ()
    for key, value in places:
        if isinstance(value, int | float):
            yield part, key
        yield from _numbers(value)


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"version": 2}', b"[" * 100_000, b"\xff", b"null", b"9" * 5000])
def test_what_is_no_record_is_refused(broken: bytes) -> None:
    with pytest.raises(RecordError):
        decode(broken)


def test_records_have_a_bound(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_BYTES", 1000)
    with pytest.raises(RecordError, match="at most 1000"):
        decode(look.record)
    with pytest.raises(RecordError, match="at most 1000 are kept"):
        _ = look.record


def test_a_recorder_keeps_no_more_than_a_record_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_BYTES", 1000)
    early = list(looks(whole_run(), (120.0, 240.0, 500.0)))
    kept = [len(list(one.recorder._looks)) for one in early]
    assert kept == [1, 1, 1]
    with pytest.raises(RecordError, match=r"more than \d+ bytes; at most 1000 are kept"):
        _ = early[-1].record


def test_so_have_the_blocks_of_a_metric(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_BLOCKS", 3)
    with pytest.raises(RecordError, match="a record keeps at most 3"):
        _ = look.record


def test_a_record_can_be_judged_again_by_another_rule(look: Look) -> None:
    kept = decode(look.record)
    stricter = replace(kept, begun=replace(kept.begun, rules=replace(kept.begun.rules, budget=0.05)))
    assert stricter.judged().log_limit < kept.judged().log_limit


def test_a_digest_names_the_algorithm() -> None:
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_window_of_a_run_is_two_minutes_of_the_record(look: Look) -> None:
    blocks = decode(look.record).finished["errors"]
    assert [(one.block.first, one.block.windows) for one in blocks[:3]] == [(0, 4), (4, 4), (8, 2)]
    assert blocks[0].block.interval_seconds == WINDOW
