"""`coalmine model fit | certify | diff | export`: a FailureModel from a service's history, and what it is worth."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.cli.arguments import (
    FAILED,
    UsageError,
    Verbs,
    add_file_verb,
    add_group,
    namespace_name,
    object_name,
    seconds,
)
from rollout.cli.target import show, tell
from rollout.cli.template_flags import pair

if TYPE_CHECKING:
    from rollout.api.failuremodel import FailureModel

_FIT = """\
FILE has AnalysisTemplates and the Rollout, or names presets. History comes from the metrics store that the templates
name (or --address), in pieces of forty minutes, or from a file that --record kept earlier. The pods of the version that
most pods were of are stable's; a release that was under way at that time is left out.
The model is written as YAML, to be reviewed and committed; it decides nothing before the operator has certified it on
history that came later. With --sentinel, the anomaly detector's ConfigMap follows it in the same file; every second
piece is kept from learning to say what is unusual.
With --healthy, the largest evidence of past releases goes into the model's calibration: of 99 and more (at a budget of
1 %) it may raise the limit. `kubectl get analysisruns,rollouts -n NS -o json > runs/DATE.json` writes what is needed;
keep such files, since the cluster has the latest runs only. Releases count that were promoted and not taken back;
records count as they are given. Exit codes: 0 written, 1 an error, 3 wrong usage."""
_CERTIFY = """\
MODEL is a FailureModel in YAML; FILE as for `fit`. Random stable pods pose as the canary in history after the model's
training, with the Rollout's own steps, and the real judge looks on; then known faults are put into the same releases.
Exit codes: 0 the budget is kept, 1 it is not shown to be (or an error), 3 wrong usage."""
_DIFF = "What changed from one model to the other, in words. Exit codes: 0 said, 1 a file is no FailureModel."
_EXPORT = """\
The canonical JSON of the spec goes to standard output, its digest to standard error: the digest that a status, a run
and a record name. Exit codes: 0 written, 1 the file is no sound FailureModel."""


def add(commands: Verbs) -> None:
    """Add the verbs."""
    verbs = add_group(
        commands, "model", "learn from a service's history what its pods differ by",
        "coalmine model fit template.yaml rollout.yaml --output model.yaml",
    )  # fmt: skip
    parser = add_file_verb(
        verbs, "fit", fit, words="learn a FailureModel from history", more=_FIT,
        example="coalmine model fit template.yaml rollout.yaml --output model.yaml\n"
        "coalmine model fit template.yaml rollout.yaml --from 2026-11-05T00:00:00Z --to 2026-11-08T00:00:00Z\n"
        "coalmine model fit template.yaml rollout.yaml --healthy runs/ --output model.yaml\n"
        "coalmine model fit template.yaml rollout.yaml --sentinel Mahalanobis --output model.yaml\n"
        "coalmine model fit coalmine-istio-http --rollout checkout -n shop --address http://127.0.0.1:9090",
    )  # fmt: skip
    _add_history_flags(parser)
    parser.add_argument("--name", type=object_name, help="of the model; default: the Rollout's")
    parser.add_argument(
        "--valid-for", type=seconds, default=60 * 86_400.0, metavar="DURATION", help="from now; default: 1440h"
    )
    parser.add_argument("--enforce", action="store_true", help="use it once it is certified; default: mode Shadow")
    parser.add_argument(
        "--healthy", nargs="+", type=Path, default=[], metavar="PATH",
        help="what runs of healthy releases left: AnalysisRuns as JSON, records, or folders of them",
    )  # fmt: skip
    _add_sentinel_flags(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    parser = add_file_verb(
        verbs, "certify", certify, words="try a FailureModel on history it has not seen", more=_CERTIFY,
        example="coalmine model certify model.yaml template.yaml rollout.yaml\n"
        "coalmine model certify model.yaml template.yaml rollout.yaml --history later.zip",
    )  # fmt: skip
    parser.add_argument("model", type=Path, metavar="MODEL", help="the FailureModel")
    _add_history_flags(parser)
    parser = add_file_verb(
        verbs, "diff", diff, words="say what changed between two FailureModels", more=_DIFF,
        example="coalmine model diff model.yaml newer.yaml",
    )  # fmt: skip
    parser.add_argument("old", type=Path, metavar="OLD")
    parser.add_argument("new", type=Path, metavar="NEW")
    parser = add_file_verb(
        verbs, "export", export, words="write a FailureModel's canonical JSON and its digest", more=_EXPORT,
        example="coalmine model export model.yaml > model.json",
    )  # fmt: skip
    parser.add_argument("model", type=Path, metavar="MODEL", help="the FailureModel")


def _add_sentinel_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sentinel",
        choices=("Mahalanobis", "NearestNeighbors", "IsolationForest"),
        help="learn an anomaly detector over all metrics too; its ConfigMap is written behind the model",
    )
    parser.add_argument(
        "--on-anomaly", choices=("Pause", "Report", "Fail"), default="Pause", help="what it does; default: Pause"
    )
    parser.add_argument(
        "--sentinel-budget", metavar="P", help="taken out of the false-rollback budget; with --on-anomaly Fail only"
    )


def _add_history_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="templates and a Rollout, or presets' names")
    parser.add_argument("--rollout", type=object_name, metavar="NAME", help="default: the Rollout in the files")
    parser.add_argument(
        "-n", "--namespace", type=namespace_name, help="of the pods; default: the Rollout's, or default"
    )
    parser.add_argument("--from", dest="begin", metavar="TIME", help="RFC 3339; default: three days before --to")
    parser.add_argument("--to", dest="end", metavar="TIME", help="RFC 3339; default: two minutes ago")
    parser.add_argument("--address", metavar="URL", help="of the metrics store; default: what the templates name")
    parser.add_argument("--history", type=Path, metavar="FILE", help="recorded history, instead of a metrics store")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep the history that was read")
    parser.add_argument("--budget", metavar="P", help="false-rollback budget; default: the Rollout's, or 1%%")
    parser.add_argument("--warm-up", metavar="DURATION", help="default: the Rollout's, or 3m")
    parser.add_argument("--template", metavar="NAME", help="the template that is meant, where the files have several")
    parser.add_argument(
        "--arg", action="append", default=[], type=pair, metavar="NAME=VALUE", help="value of an argument; repeatable"
    )


def fit(arguments: argparse.Namespace) -> int:
    """Learn, and write the model."""
    from rollout.cli.model_fit import as_yaml, fitted
    from rollout.cli.model_healthy import read_healthy, with_healthy
    from rollout.cli.model_history import asked, read
    from rollout.cli.model_sentinel import check, with_fitted_sentinel
    from rollout.cli.model_words import learned

    question = asked(arguments)
    check(arguments, question.metrics.rules.budget)
    healthy = read_healthy(arguments.healthy)
    pieces = read(question)
    model = fitted(question, pieces, arguments)
    more, words = "", list[str]()
    if arguments.healthy:
        model, words = with_healthy(model, question, healthy)
    if arguments.sentinel is not None:
        watched = with_fitted_sentinel(model, question, pieces, arguments)
        model, more, words = watched.model, f"---\n{watched.config_map}", [*words, *watched.words]
    text = as_yaml(model) + more
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        _write(arguments.output, text.encode())
        tell(f"written to {arguments.output}")
    for line in [*learned(model.spec), *words]:
        tell(line)
    return 0


def certify(arguments: argparse.Namespace) -> int:
    """Play placebos and faults on held-out history, and say what came of them."""
    from analysis.model.lifecycle import keeps
    from rollout.cli.model_fit import certified
    from rollout.cli.model_history import asked, read
    from rollout.cli.model_sentinel import artefact_in
    from rollout.cli.model_words import certificate_words

    model = _model(arguments.model)
    artefact = artefact_in(arguments.model, model.spec)
    question = asked(arguments, trained_until=model.spec.training.to)
    found, drift = certified(model.spec, question, read(question), artefact)
    show(certificate_words(found, drift))
    return 0 if keeps(found) and not drift else FAILED


def diff(arguments: argparse.Namespace) -> int:
    """Say what changed."""
    from rollout.cli.model_words import differences

    old, new = _model(arguments.old), _model(arguments.new)
    show(differences(old.spec, new.spec) or ["the models say the same"])
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write the canonical JSON, and tell the digest."""
    from analysis.model.artefact import canonical, digest

    spec = _model(arguments.model).spec
    sys.stdout.write(canonical(spec).decode() + "\n")
    tell(digest(spec))
    return 0


def _model(path: Path) -> "FailureModel":
    """The one FailureModel of a file; raises FileError, InvalidSpec or UsageError."""
    from analysis.model.validate import validate_failure_model
    from rollout.api.failuremodel import FailureModel
    from rollout.cli.template_files import read_documents

    models = [document for document in read_documents([str(path)]) if document.kind == "FailureModel"]
    if len(models) != 1:
        raise UsageError(f"{path} has {len(models)} FailureModels; give a file with one")
    model = models[0].as_struct(FailureModel)
    for problem in validate_failure_model(model.spec):
        raise problem
    return model


def _write(path: Path, content: bytes) -> None:
    from rollout.cli.template_files import FileError

    try:
        path.write_bytes(content)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}") from error
