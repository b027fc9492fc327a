"""`coalmine analysis backtest --template FILE RECORD...`: past rollouts judged by another template."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.cli.arguments import UsageError, Verbs, add_file_verb
from rollout.cli.target import show, tell
from rollout.cli.template_flags import add_template_flags

if TYPE_CHECKING:
    from analysis.authoring.backtest import Backtested, Outcome, PastRollout, Summary
    from analysis.rules import RunRules
    from rollout.cli.screen import Screen

MAX_RECORDS = 10_000
_MORE = """\
A RECORD is what an AnalysisRun kept of its comparisons (ConfigMap <RUN>-record, gzipped or not). Its blocks are judged
again by the template: with another harm, tolerance, budget, direction, limit, tails or share of the budget. What the
canary's weight was cannot be changed any more, and a record ends where its run ended: what it could not decide by then
stays undecided. With --healthy and --bad the rates of false rollbacks and of finds are told.
Exit codes: 0 judged, 1 an error in a file, 3 wrong usage."""


def add(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_file_verb(
        verbs, "backtest", run, words="say what a template would have decided about past rollouts", more=_MORE,
        example="coalmine analysis backtest --template template.yaml web-7.json.gz web-8.json.gz\n"
        "coalmine analysis backtest --template new.yaml --healthy good/1.gz good/2.gz --bad bad/1.gz",
    )  # fmt: skip
    parser.add_argument("records", nargs="*", type=Path, metavar="RECORD", help="of releases nobody has judged since")
    for flag, words in (("--healthy", "of releases that were good"), ("--bad", "of releases that were bad")):
        parser.add_argument(flag, nargs="+", default=[], type=Path, metavar="RECORD", help=words)
    parser.add_argument("--template", required=True, metavar="FILE", help="a file of templates, or a preset's name")
    parser.add_argument("--name", metavar="NAME", help="which template, where the file has several")
    parser.add_argument("--budget", metavar="P", help="false-rollback budget; default: 1%%")
    add_template_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judge all records again."""
    from analysis.authoring.backtest import Truth, backtest, summarised
    from rollout.cli.screen import make_screen

    rules = _rules(arguments)
    labelled = [
        *((path, Truth.HEALTHY) for path in arguments.healthy),
        *((path, Truth.BAD) for path in arguments.bad),
        *((path, Truth.UNKNOWN) for path in arguments.records),
    ]
    if not 1 <= len(labelled) <= MAX_RECORDS:
        raise UsageError(f"{len(labelled)} records are given; name 1 to {MAX_RECORDS}")
    results = [backtest(_past(path, truth), rules) for path, truth in labelled]
    screen = make_screen()
    show(_table(results, screen))
    for name in sorted({name for one in results for name in one.unknown}):
        tell(f'note: some records have no metric "{name}", so it says nothing about them')
    show(_summary(summarised(results)))
    return 0


def _rules(arguments: argparse.Namespace) -> "RunRules":
    from rollout.cli.template_files import choose, filled, read_documents, settings_of

    documents = read_documents([arguments.template])
    chosen = choose(documents, arguments.name)
    settings = settings_of(chosen, arguments.budget, None)
    return filled(documents, chosen, dict(arguments.arg), settings).rules


def _past(path: Path, truth: str) -> "PastRollout":
    from analysis.authoring.backtest import PastRollout, Truth
    from analysis.record import RecordError, decode
    from rollout.cli.explain import read_record

    try:
        return PastRollout(str(path), Truth(truth), decode(read_record(path)))
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error


def _table(results: "Sequence[Backtested]", screen: "Screen") -> list[str]:
    from rollout.cli.screen import table

    head = ("RECORD", "RELEASE", "DECIDED", "WOULD", "NEAREST")
    rows = [(*_cells(one, screen),) for one in results]
    return table(head, rows)


def _cells(one: "Backtested", screen: "Screen") -> Iterator[str]:
    yield one.name
    yield one.truth
    yield _told(one.was)
    wrong = (one.truth == "healthy") is (one.would.verdict == "FAIL") and one.truth != "unknown"
    yield screen.paint(_told(one.would), "red" if wrong else "green")
    yield f"{_odds(one.would.log_margin)} of the limit"


def _told(outcome: "Outcome") -> str:
    from rollout.cli.plan_words import minutes

    if outcome.verdict == "FAIL":
        return f"FAIL by {outcome.metric} after {minutes(outcome.seconds)}"
    if outcome.proven_seconds is not None:
        return f"{outcome.verdict}, first proven after {minutes(outcome.proven_seconds)}"
    return f"{outcome.verdict} when it ends, after {minutes(outcome.seconds)}"


def _odds(log_margin: float) -> str:
    import math

    from analysis.percent import format_percent

    return format_percent(math.exp(min(log_margin, 30.0)))


def _summary(summary: "Summary") -> Iterator[str]:
    from analysis.percent import format_percent
    from rollout.cli.plan_words import minutes

    if summary.healthy:
        bound = f"95% upper bound {format_percent(summary.false_upper)}"
        yield f"false rollbacks: {summary.false_rollbacks} of {summary.healthy} healthy releases ({bound})"
    if summary.bad:
        median = minutes(summary.median_seconds) if summary.median_seconds is not None else "never"
        yield f"found: {summary.found} of {summary.bad} bad releases, median {median}"
