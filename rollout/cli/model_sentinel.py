"""`coalmine model fit --sentinel`: an anomaly detector from the same history, and the ConfigMap that carries it."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import yaml

from analysis.failure_model_spec import ConfigMapKeyRef, FailureModelSpec, Sentinel, SentinelArtifact
from analysis.model.applied import applied, with_sentinel
from analysis.model.artefact import canonical, digest
from analysis.model.history import Piece
from analysis.model.sentinel.acting import ActingSentinel
from analysis.model.sentinel.healthy import Healthy
from analysis.model.sentinel.model import SentinelModel, parse_sentinel
from analysis.model.sentinel.threshold import trajectory_threshold
from analysis.percent import format_percent, parse_percent
from analysis.phrases import counted
from rollout.api.failuremodel import FailureModel
from rollout.cli.arguments import UsageError
from rollout.cli.model_history import Question
from rollout.cli.target import tell
from rollout.cli.template_files import read_documents
from rollout.errors import CoalmineError, InvalidSpec

if TYPE_CHECKING:
    from analysis.model.sentinel.fit.sentinel import Kind

KEY = "model.json"
ARTEFACT_BYTES_MAX = 1_000_000
"""A ConfigMap holds a mebibyte, with its own fields."""


@dataclass(frozen=True)
class Fitted:
    """A model with its sentinel, and the manifest of the ConfigMap."""

    model: FailureModel
    config_map: str
    words: tuple[str, ...]


def with_fitted_sentinel(
    model: FailureModel, question: Question, pieces: Sequence[Piece], arguments: argparse.Namespace
) -> Fitted:
    """Learn a sentinel from every second piece, and keep the others to say what is unusual.

    Raises:
        UsageError: the flags do not fit together.
        CoalmineError: scikit-learn is not there, or history does not suffice.
    """
    given = applied(model.spec, question.metrics)
    healthy = Healthy(question.metrics.rules, given.noises, question.plan)
    artefact = _fitted(arguments.sentinel, healthy, pieces)
    content = canonical(artefact)
    if len(content) > ARTEFACT_BYTES_MAX:
        raise CoalmineError(f"the sentinel has {len(content)} bytes, too many for a ConfigMap; choose Mahalanobis")
    name = f"{model.metadata.name}-sentinel"
    wanted = Sentinel(
        type=arguments.sentinel,
        artifact=SentinelArtifact(digest=digest(artefact), config_map_ref=ConfigMapKeyRef(name=name, key=KEY)),
        on_anomaly=arguments.on_anomaly,
        budget=arguments.sentinel_budget,
    )
    acting = with_sentinel(given, model.spec, wanted, artefact, question.metrics).sentinel
    spec = msgspec.structs.replace(model.spec, sentinel=wanted)
    manifest = _config_map(name, model.metadata.namespace, content)
    return Fitted(msgspec.structs.replace(model, spec=spec), manifest, tuple(sentinel_words(acting, artefact)))


def check(arguments: argparse.Namespace, rollout_budget: float) -> None:
    """Refuse flags that do not fit together, before history is read; raises UsageError or CoalmineError."""
    if arguments.sentinel is None and (arguments.on_anomaly != "Pause" or arguments.sentinel_budget):
        raise UsageError("--on-anomaly and --sentinel-budget belong to --sentinel")
    if (arguments.on_anomaly == "Fail") != (arguments.sentinel_budget is not None):
        raise UsageError("--on-anomaly Fail needs --sentinel-budget, such as 0.2%, and nothing else does")
    if arguments.sentinel_budget is not None and not 0 < _ratio(arguments.sentinel_budget) < rollout_budget:
        raise UsageError(f"--sentinel-budget: write less than the rollout's {format_percent(rollout_budget)}")
    if arguments.sentinel is not None and find_spec("sklearn") is None:
        raise CoalmineError("--sentinel needs scikit-learn: pip install 'coalmine[models]'")


def _ratio(text: str) -> float:
    try:
        return parse_percent(text)
    except ValueError as error:
        raise UsageError(f"--sentinel-budget: {error}") from error


def artefact_in(path: Path, spec: FailureModelSpec) -> SentinelModel | None:
    """Return the artefact of a model's sentinel where the same file has its ConfigMap; raises InvalidSpec or FileError.

    Without it the model is tried alone, and that is told.
    """
    reference = spec.sentinel.artifact.config_map_ref if spec.sentinel is not None else None
    if spec.sentinel is None or reference is None:
        return None
    for document in read_documents([str(path)]):
        if document.kind == "ConfigMap" and document.name == reference.name:
            data = document.manifest.get("data")
            text = data.get(reference.key) if isinstance(data, dict) else None
            field = "spec.sentinel.artifact"
            if not isinstance(text, str):
                problem = f'ConfigMap "{reference.name}" has no text under "{reference.key}"'
                raise InvalidSpec(f"{field}.configMapRef", problem, "mend the key")
            return parse_sentinel(text.encode(), spec.sentinel.artifact.digest, field)
    tell(f'ConfigMap "{reference.name}" is not in {path}: the model is tried without its sentinel')
    return None


def _fitted(kind: "Kind", healthy: Healthy, pieces: Sequence[Piece]) -> SentinelModel:
    from analysis.model.sentinel.fit.sentinel import fit_sentinel

    return fit_sentinel(kind, healthy.features, healthy.rollouts(pieces))


def _config_map(name: str, namespace: str, content: bytes) -> str:
    metadata = {"name": name, "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: content.decode()}}
    return yaml.safe_dump(manifest, sort_keys=False, width=1_000_000)


def sentinel_words(acting: ActingSentinel | None, artefact: SentinelModel) -> Iterator[str]:
    known = len(artefact.largest_scores)
    budget = acting.budget if acting is not None else 0.0
    contrasts, placebos = counted(len(artefact.features), "contrast"), counted(known, "placebo")
    head = f"sentinel over {contrasts}, by {placebos} that it did not learn from"
    if trajectory_threshold(artefact.largest_scores, budget) is None:
        more = f"false alarms in {format_percent(budget)} of releases take a longer history: see --from"
        yield f"{head}; it raises NO alarm yet, since {more}"
        return
    yield f"{head}; false alarms in at most {format_percent(budget)} of releases that are like placebos"
    yield "  a real release also moves load and has young pods, which are differences too: expect more"
    if acting is not None and acting.on_anomaly == "Fail":
        yield "  watch it with --on-anomaly Report for some releases before you let it fail one"
