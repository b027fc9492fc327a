"""`coalmine analysis explain RUN`: what was compared, in words, replayed from the record of the verdict."""

import argparse
from pathlib import Path

from rollout.api.analysis import AnalysisRun
from rollout.cli import backtest, lint, plan, template_test
from rollout.cli.arguments import FAILED, UsageError, Verbs, add_group, add_verb, object_name
from rollout.cli.target import Cluster, in_cluster, patiently, show, tell, typed
from rollout.errors import ApiError
from rollout.kube.resources import ANALYSIS_RUNS, CONFIG_MAPS

_MORE = """\
A failing verdict keeps its record, all numbers it was made of, in the ConfigMap <RUN>-record. Its digest is checked
against the run's status, and it is judged again: the same code must give the same verdict, bit for bit.
With --file a record from a file is explained, gzipped or not; no cluster is needed.
Exit codes: 0 explained, 1 the record does not fit the run (or an error), 3 wrong usage."""


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
        example="coalmine analysis explain web-6f4dfdb495-2 -n shop\ncoalmine analysis explain --file record.json.gz",
    )  # fmt: skip
    parser.add_argument("run", nargs="?", type=object_name, metavar="RUN", help="the AnalysisRun")
    parser.add_argument("--file", type=Path, metavar="FILE", help="a record that was kept elsewhere")


def run(arguments: argparse.Namespace) -> int:
    """Explain a run, or a record in a file."""
    if bool(arguments.run) == bool(arguments.file):
        raise UsageError("name an AnalysisRun or a --file, not both")
    if arguments.file:
        return _explain_file(arguments.file)
    return in_cluster(arguments, lambda cluster: _explain(cluster, arguments.run))


def _explain_file(path: Path) -> int:
    from rollout.cli.explain import explain_record, read_record, replayed

    show(explain_record(replayed(read_record(path))))
    return 0


async def _explain(cluster: Cluster, name: str) -> int:
    from rollout.cli.explain import discrepancies, explain_run, replayed

    seen = typed(await cluster.find(ANALYSIS_RUNS, name), AnalysisRun)
    record = await _record(cluster, name)
    again = replayed(record) if record is not None else None
    show(explain_run(seen, again))
    comparison = seen.status.comparison
    if comparison is None or again is None:
        lost = comparison.record_digest if comparison is not None else ""
        tell(f"the record {lost} is not there, so nothing can be replayed" if lost else _NO_RECORD)
        return FAILED if lost else 0
    if found := discrepancies(seen.status, again):
        tell(f"THE RECORD DOES NOT FIT THE RUN: {'; '.join(found)}")
        return FAILED
    show(["", "The digest is the status's, and the replay gives the same verdict, evidence and words, bit for bit."])
    return 0


_NO_RECORD = "no record was kept: only a comparison that failed has one"


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
