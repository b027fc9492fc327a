"""The benchmarks of the operator run, at their smallest size; how long anything takes is not looked at."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks.operator.figures import Figure, changed, comparison, of_json, quantile, table
from tests.support.api_process import ROOT

SECONDS_MAX = 900
FAMILIES = ("canaries", "idle", "events", "reaction", "startup", "sync")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_measured_told_and_kept(family: str, tmp_path: Path) -> None:
    kept = tmp_path / "operator-embedded-quick.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--size", "quick", "--server", "embedded", "--only", family]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = [of_json(one) for one in json.loads(kept.read_text())["families"][family]["figures"]]
    assert figures
    for figure in figures:
        assert figure.name in done.stdout
        assert all(math.isfinite(sample) and sample >= 0 for sample in figure.samples), figure
    if family == "canaries":
        assert figures[0].median >= 5, "a canary of two steps takes some calls"
    if family == "reaction":
        weights, reverts = figures
        assert all(weight < revert for weight, revert in zip(weights.samples, reverts.samples, strict=True))


def figure(*samples: float, target: float | None = None, **more: str) -> Figure:
    return Figure("calls", "calls", samples, target, **more)  # type: ignore[arg-type]


def test_a_target_is_about_the_statistic_it_names() -> None:
    assert not figure(1, 2, 30, target=2).missed
    assert figure(1, 2, 30, target=29, statistic="max").missed
    assert not figure(*range(1, 101), target=99, statistic="p99").missed
    assert figure(*range(1, 101), target=98, statistic="p99").missed
    assert not figure(5).missed
    assert quantile([3, 1, 2], 0.5) == 2
    assert "**missed**" in table([figure(3, target=2)])
    assert "**missed**" not in table([figure(2, target=2)])


def test_a_change_is_marked_only_beyond_both_spreads() -> None:
    assert changed(figure(1, 2, 3), figure(4, 5, 6))
    assert not changed(figure(1, 2, 5), figure(4, 5, 6))
    assert not changed(figure(1, 2, 3), figure(2, 5, 6))
    told = comparison([figure(4), Figure("new", "s", (1,))], [figure(2), Figure("old", "s", (0,))])
    assert "| calls | calls | 2.00 | 4.00 | 2.00 | **more** |" in told
    assert "| new | s | | 1.00 | | new |" in told
    assert "| old | s | 0 | | | not measured |" in told


def test_families_that_are_not_measured_stay_as_they_were_and_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, slow, fast = tmp_path / "kept.json", {"reference_ms": 20.0}, {"reference_ms": 10.0}
    bench._keep(path, "embedded", slow, {"idle": [figure(8)], "sync": [figure(1)]})
    earlier = json.loads(path.read_text())
    result = bench._keep(path, "embedded", fast, {"idle": [figure(4)], "events": [figure(2)]})
    assert result == json.loads(path.read_text())
    assert result["families"]["sync"] == earlier["families"]["sync"]
    bench._compare(result, earlier)
    told = capsys.readouterr().out
    assert "The reference loop takes 0.50 times as long as it did then." in told
    assert "| calls | calls | 8.00 | 4.00 | 0.50 | **less** |" in told
    assert "events: not in the earlier file" in told


def test_a_figure_comes_back_from_json() -> None:
    one = Figure("time", "s", (1.0, 2.0), 3.0, "p99", "another", "a note")
    assert of_json(json.loads(json.dumps(one.as_json()))) == one
