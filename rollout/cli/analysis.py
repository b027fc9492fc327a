"""`coalmine analysis explain RUN`: what was compared, in words, replayed from the record of the verdict."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.api.analysis import AnalysisRun
from rollout.cli import backtest, lint, plan, template_test
from rollout.cli.arguments import FAILED, UsageError, Verbs, add_group, add_verb, object_name
from rollout.cli.target import Cluster, in_cluster, patiently, show, tell, typed
from rollout.errors import ApiError, CoalmineError
from rollout.kube.resources import ANALYSIS_RUNS, CONFIG_MAPS

if TYPE_CHECKING:
    from rollout.cli.explain import Replay

_MORE = """\
A run that has ended keeps a record, all numbers its verdict was made of, in the ConfigMap <RUN>-record. Its digest is
checked against the run's status, and it is judged again: the same code must give the same verdict, bit for bit.
With --file a record from a file is explained, gzipped or not; no cluster is needed. Below the words stands how evidence
and ratios went over time, block by block; --html writes the same as a page with drawings, without any script.
--replay prints the judgement that the record gives, all its figures as JSON, to be compared with another machine's.
Exit codes: 0 explained, 1 the record does not fit the run, or does not replay (or an error), 3 wrong usage."""


def add(commands: Verbs) -> None:
    """Add the verbs."""
    verbs = add_group(
        commands, "analysis", "write templates, and understand verdicts",
        "coalmine analysis explain web-6f4dfdb495-2 -n shop\n"
        "coalmine analysis plan template.yaml --rps 100 --error-rate 0.5%",
    )  # fmt: skip
    lint.add(verbs)
    plan.add(verbs)
    template_test.add(verbs)
    backtest.add(verbs)
    parser = add_verb(
        verbs, "explain", run, words="say in words what an AnalysisRun compared and found", more=_MORE,
        example="coalmine analysis explain web-6f4dfdb495-2 -n shop\ncoalmine analysis explain --file record.json.gz\n"
        "coalmine analysis explain --file record.json.gz --html record.html",
    )  # fmt: skip
    parser.add_argument("run", nargs="?", type=object_name, metavar="RUN", help="the AnalysisRun")
    parser.add_argument("--file", type=Path, metavar="FILE", help="a record that was kept elsewhere")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with drawings there")
    parser.add_argument("--replay", action="store_true", help="print the replayed judgement as JSON, and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Explain a run, or a record in a file."""
    if bool(arguments.run) == bool(arguments.file):
        raise UsageError("name an AnalysisRun or a --file, not both")
    if arguments.file:
        return _explain_file(arguments)
    return in_cluster(arguments, lambda cluster: _explain(cluster, arguments))


def _explain_file(arguments: argparse.Namespace) -> int:
    from rollout.cli.explain import explain_record, read_record, replayed

    again = replayed(read_record(arguments.file))
    if arguments.replay:
        return _replay(again)
    show(explain_record(again))
    _pictures(again, str(arguments.file), arguments.html)
    return 0


def _replay(again: "Replay") -> int:
    """Every figure of the judgement, in one order: two machines that agree print the same bytes."""
    import msgspec

    show([msgspec.json.encode({"record": again.digest, "judgement": again.seen}, order="sorted").decode()])
    if not again.exact:
        tell("THE RECORD DOES NOT REPLAY: it has more in it than a judgement reads")
    return 0 if again.exact else FAILED


def _pictures(again: "Replay", title: str, html: Path | None) -> None:
    from analysis.authoring.tracks import tracks_of
    from analysis.explain import describe
    from rollout.cli.explain_html import page
    from rollout.cli.pictures import draw
    from rollout.cli.screen import speaks_unicode

    tracks = tracks_of(again.record)
    show(["", *draw(tracks, fine=speaks_unicode())])
    if html is None:
        return
    try:
        html.write_text(page(title, describe(again.seen), tracks), encoding="utf-8")
    except OSError as error:
        raise CoalmineError(f"{html} cannot be written: {error.strerror}") from error
    tell(f"drawn to {html}")


async def _explain(cluster: Cluster, arguments: argparse.Namespace) -> int:
    from rollout.cli.explain import discrepancies, explain_run, replayed

    name = arguments.run
    seen = typed(await cluster.find(ANALYSIS_RUNS, name), AnalysisRun)
    record = await _record(cluster, name)
    again = replayed(record) if record is not None else None
    if arguments.replay and again is not None:
        return _replay(again)
    show(explain_run(seen, again))
    comparison = seen.status.comparison
    if comparison is None or again is None:
        lost = comparison.record_digest if comparison is not None else ""
        tell(f"the record {lost} is not there, so nothing can be replayed" if lost else _NO_RECORD)
        return FAILED if lost or arguments.replay else 0
    _pictures(again, f"AnalysisRun {name}", arguments.html)
    if found := discrepancies(seen.status, again):
        tell(f"THE RECORD DOES NOT FIT THE RUN: {'; '.join(found)}")
        return FAILED
    show(["", "The digest is the status's, and the replay gives the same verdict, evidence and words, bit for bit."])
    return 0


_NO_RECORD = "no record was kept: only a run that ended, and had compared something, has one"


async def _record(cluster: Cluster, name: str) -> bytes | None:
    """The record beside a run; None where none was kept."""
    from rollout.cli.explain import unpacked

    try:
        found = await patiently(
            cluster.client.get(CONFIG_MAPS, cluster.namespace, f"{name}-record"), f"reading the record of {name}"
        )
    except ApiError as error:
        if error.status != 403:
            raise
        tell(f"you may not read ConfigMap {name}-record, so its figures are the status's only")
        return None
    return None if found is None else unpacked(found)
