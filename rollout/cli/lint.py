"""`coalmine analysis lint FILE...`: what is wrong with templates before any rollout uses them."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.cli.arguments import FAILED, Verbs, add_file_verb
from rollout.cli.target import show
from rollout.cli.template_flags import add_template_flags, positive_int
from rollout.errors import CoalmineError

if TYPE_CHECKING:
    from analysis.authoring.budget import Share
    from analysis.authoring.finding import Finding
    from analysis.authoring.lint import Linted
    from rollout.cli.screen import Screen
    from rollout.cli.template_files import Document

_MORE = """\
FILE has AnalysisTemplates and ClusterAnalysisTemplates, or is the name of a preset; other objects are passed over.
Checked are fields that nothing knows, types, everything the operator would refuse, arguments (given by --arg, else
their defaults), the selectors and how they tell the arms apart, and tolerances that pods' differences forbid to prove.
With --prometheus every selector is asked there: whether there are series, with pods, and how many.
Exit codes: 0 no errors (warnings are allowed), 1 errors, 3 wrong usage."""


def add(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_file_verb(
        verbs, "lint", run, words="find what is wrong with templates, and show how their budget is shared", more=_MORE,
        example="coalmine analysis lint template.yaml\n"
        "coalmine analysis lint template.yaml --arg tolerance=50% --pods 20\n"
        "coalmine analysis lint template.yaml --model model.yaml\n"
        "coalmine analysis lint template.yaml --prometheus http://127.0.0.1:9090",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", help="templates, or a preset's name")
    parser.add_argument("--prometheus", metavar="URL", help="ask there whether the series exist")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a FailureModel, whose noise is taken for tolerances"
    )
    parser.add_argument("--pods", type=positive_int, default=10, metavar="N", help="stable pods; default: 10")
    add_template_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check every template of the files."""
    from rollout.cli.screen import make_screen
    from rollout.cli.template_files import TEMPLATE_KINDS, read_documents

    documents = read_documents(arguments.files)
    templates = [document for document in documents if document.kind in TEMPLATE_KINDS]
    if not templates:
        raise CoalmineError("the files have no AnalysisTemplate and no ClusterAnalysisTemplate")
    screen, failed = make_screen(), False
    for document in templates:
        linted = _lint(documents, document, arguments)
        live = _live(linted, arguments.prometheus) if arguments.prometheus else ()
        findings = (*linted.findings, *live)
        show(_words(document, linted, findings, screen))
        failed = failed or any(finding.severity == "error" for finding in findings)
    return FAILED if failed else 0


def _lint(documents: "Sequence[Document]", document: "Document", arguments: argparse.Namespace) -> "Linted":
    from analysis.authoring.fields import unknown_fields
    from analysis.authoring.finding import Finding, Severity, error_of
    from analysis.authoring.lint import Linted, lint, prior_noises
    from analysis.spec import AnalysisTemplateSpec
    from rollout.cli.template_files import FileError, find_in, noises_of_model

    unknown = tuple(
        error_of(problem) for problem in unknown_fields(document.manifest.get("spec"), AnalysisTemplateSpec, "spec")
    )
    try:
        spec = document.template
    except FileError as error:
        words, _, field = str(error).removeprefix(f"{document.title}: ").partition(" - at `$.")
        return Linted((*unknown, Finding(Severity.ERROR, field.rstrip("`") or "spec", words)))
    model = arguments.model
    noises = prior_noises if model is None else lambda filled: noises_of_model(model, filled)[0]
    args = dict(arguments.arg)
    seen = lint(spec, document.ref, lambda ref: find_in(documents, ref), args, arguments.pods, noises)
    return Linted((*unknown, *seen.findings), seen.shares, seen.filled)


def _live(linted: "Linted", address: str) -> "tuple[Finding, ...]":
    import asyncio

    from rollout.cli.lint_live import ask

    return asyncio.run(ask(linted.filled, address)) if linted.filled is not None else ()


def _words(document: "Document", linted: "Linted", findings: "Sequence[Finding]", screen: "Screen") -> Iterator[str]:
    errors = sum(finding.severity == "error" for finding in findings)
    counted = ", ".join(_count(count, word) for count, word in ((errors, "error"), (len(findings) - errors, "warning")))
    yield f"{document.title}: {counted}"
    for finding in findings:
        colour = "red" if finding.severity == "error" else "yellow"
        yield f"  {screen.paint(finding.severity, colour)}: {finding.line.partition(': ')[2]}"
    if linted.shares:
        yield "  budget:"
        yield from (f"    {line}" for line in _shares(linted.shares))


def _count(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _shares(shares: "Sequence[Share]") -> list[str]:
    from analysis.percent import format_percent
    from rollout.cli.screen import table

    rows = []
    for share in shares:
        parts = ", ".join(f"{label} {format_percent(part)}" for label, part in share.parts)
        note = "dry run" if share.dry_run else parts or ("many small harms together" if share is shares[-1] else "")
        rows.append((share.metric, format_percent(share.share), note))
    return table(("METRIC", "SHARE", ""), rows)
