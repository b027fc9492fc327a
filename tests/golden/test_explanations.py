"""Twenty judgements in words, as somebody reads them who is woken at night.

After a wanted change of words or of the engine: `.venv/bin/python -m tests.support.explained` writes them anew; read
every one before it is committed.
"""

import pytest

from tests.support.explained import FOLDER, explained, scenarios, texts

NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return texts()


def test_there_are_ten_failures_five_passes_and_five_inconclusive_ones(written: dict[str, str]) -> None:
    kinds = [name.split("-", maxsplit=1)[0] for name in NAMES]
    assert [kinds.count(kind) for kind in ("fail", "pass", "inconclusive")] == [10, 5, 5]
    assert sorted(written) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_judgement_is_explained_as_the_golden_text_says(name: str, written: dict[str, str]) -> None:
    remedy = "run .venv/bin/python -m tests.support.explained, and read what it wrote"
    assert written[name] == (FOLDER / f"{name}.txt").read_text(), remedy


@pytest.mark.parametrize("name", NAMES)
def test_a_text_tells_metric_effect_interval_data_what_is_ruled_out_and_what_next(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    first, *rest = text.splitlines()
    assert first.startswith(name.split("-", maxsplit=1)[0].upper())
    for metric in scenarios()[name].rules.rules:
        assert any(line.startswith(f"  {metric.name} (") for line in rest)
    assert rest[-1].startswith("  next: ")
    assert "  ruled out: " in text
    if name != "inconclusive-warming-up":
        assert "95% interval" in text
        assert "canary" in text
    assert len(first) <= 360


@pytest.mark.parametrize("name", ["fail-errors", "pass-all", "inconclusive-no-data"])
def test_the_sentence_alone_is_short_and_the_same_as_in_the_text(name: str) -> None:
    seen = explained(name, scenarios()[name])
    assert len(seen.explanation) <= 300
    assert seen.explanation in (FOLDER / f"{name}.txt").read_text()
