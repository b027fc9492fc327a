"""`coalmine analysis test FILE...`: unit tests for templates, on recorded or simulated series."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.cli.arguments import FAILED, Verbs, add_file_verb
from rollout.cli.target import show
from rollout.errors import InvalidSpec

if TYPE_CHECKING:
    from analysis.authoring.case_run import CaseResult
    from analysis.authoring.cases import Case, TestFile
    from rollout.cli.screen import Screen

_MORE = """\
Each test is a rollout: its data come from series as promtool writes them, from the JSON of /api/v1/query_range, or from
a simulation with a seed. The operator's own measurer reads them through the template's selectors and judges at every
interval. The file:

  template: template.yaml                    # beside this file, or a preset's name
  name: checkout-health                      # which template, where the file has several
  args: {tolerance: 50%}
  budget: 1%                                 # and warmUp: 3m
  canary: canary-[a-z0-9]+                   # pods of the arms, and stable: stable-[a-z0-9]+
  interval: 15s                              # between the values of series; they begin at start: -1m
  tests:
  - name: twice the errors are rolled back
    simulate:                                # environment, rps, errorRate, latency, latencySigma, stablePods, steps,
      rps: 100                               # seed; how many seeds; what the release does, from `since` on: errors,
      errorRate: 0.5%                        # slower, cpu, memory, tailShare, tailSlower, leakMegabytesPerMinute,
      errors: 2                              # restartsPerPodHour
      seeds: 10
    expect: {verdict: FAIL, metric: errors, by: 30m, share: 90%}
  - name: without a request nothing is proven
    weights: [{at: 0s, weight: 10}, {at: 5m, weight: 50}]
    duration: 10m
    series:
    - {series: 'http_requests_total{pod="canary-a", code="200"}', values: 0+100x30 _x5 3100+100x40}
    - {file: recorded.json}
    expect: {verdict: INCONCLUSIVE, says: no data}

FAIL must come at some look; PASS and INCONCLUSIVE hold at the last one, and no look may fail before.
Exit codes: 0 all tests passed, 1 some did not (or an error), 3 wrong usage."""


def add(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_file_verb(
        verbs, "test", run, words="test templates on recorded or simulated series with expected verdicts", more=_MORE,
        example="coalmine analysis test checkout-tests.yaml\ncoalmine analysis test tests/*.yaml --only errors",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files of tests")
    parser.add_argument("--only", default="", metavar="TEXT", help="run only the tests with this in their names")


def run(arguments: argparse.Namespace) -> int:
    """Run all tests of the files."""
    from rollout.cli.screen import make_screen

    screen = make_screen()
    passed = failed = 0
    for path in arguments.files:
        show([str(path)])
        for result, took in _results(path, arguments.only):
            passed, failed = passed + (not result.wrong), failed + bool(result.wrong)
            show(_words(result, took, screen))
    counted = f"{passed} passed, {failed} failed" if failed else f"{passed} passed"
    show([screen.paint(counted, "red" if failed or not passed else "green")])
    return FAILED if failed or not passed else 0


def _results(path: Path, only: str) -> "Iterator[tuple[CaseResult, float]]":
    from analysis.authoring.cases import parse_cases
    from rollout.cli.template_files import read_bytes
    from rollout.render.limits import DEFAULT_LIMITS
    from rollout.render.manifests import parse_yaml

    file = parse_cases(parse_yaml(read_bytes(path), str(path), DEFAULT_LIMITS), str(path))
    for index, case in enumerate(file.tests):
        if only in case.name:
            started = time.monotonic()
            result = _play(path, file, case, f"{path}: tests[{index}]")
            yield result, time.monotonic() - started


def _play(path: Path, file: "TestFile", case: "Case", field: str) -> "CaseResult":
    from analysis.authoring.case_run import arms_of, run_case
    from analysis.comparison_spec import ComparisonSettings
    from analysis.presets.load import presets
    from rollout.cli.template_files import choose, filled, read_bytes, read_documents

    shipped = any(one.name == file.template for one in presets())
    documents = read_documents([file.template if shipped else str(_beside(path, file.template))])
    chosen = choose(documents, file.name or None)
    settings = ComparisonSettings(false_rollback_budget=file.budget, warm_up=file.warm_up)
    template = filled(documents, chosen, {**file.args, **case.args}, settings, arms=arms_of(file))
    if not template.rules.rules:
        raise InvalidSpec(field, f"{chosen.title} has no comparison", "only comparisons are tested")
    return run_case(file, case, template, field, lambda name: read_bytes(_beside(path, name)))


def _beside(path: Path, name: str) -> Path:
    return path.parent / name


def _words(result: "CaseResult", took: float, screen: "Screen") -> Iterator[str]:
    mark = screen.paint("FAILED", "red") if result.wrong else screen.paint("ok", "green")
    yield f"  {mark:6}  {result.name}  ({took:.1f} s)"
    if result.wrong:
        yield f"          {result.wrong}"
        return
    first = result.played[0]
    who = f" by {first.metric}" if first.metric else ""
    yield f"          {first.verdict}{who} after {first.seconds / 60:g} min" + (
        f", {result.agreeing} of {len(result.played)} seeds" if len(result.played) > 1 else ""
    )
