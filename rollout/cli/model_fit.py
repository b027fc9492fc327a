"""From history to a FailureModel's manifest, and to a certificate."""

import argparse
import time
from collections.abc import Sequence

import msgspec
import yaml

from analysis.comparison_spec import FailureModelRef
from analysis.durations import format_time
from analysis.failure_model_spec import (
    Calibration,
    Certificate,
    FailureModelSpec,
    PlaceboCalibration,
    TrainingProvenance,
)
from analysis.model.applied import applied, with_sentinel
from analysis.model.certify import (
    PLACEBOS_A_SEGMENT,
    Tally,
    Trial,
    certificate,
    placebo_quantile99,
    trial_of,
    tried,
)
from analysis.model.decimals import decimal_text
from analysis.model.history import SEGMENT_SECONDS, Piece, data_digest, query_digests
from analysis.model.learn.metrics import learn
from analysis.model.learn.warm_up import with_warm_ups
from analysis.model.sentinel.model import SentinelModel
from analysis.model.soundness import drifted
from rollout import __version__
from rollout.api.failuremodel import FailureModel
from rollout.api.meta import API_VERSION, ObjectMeta
from rollout.cli.model_history import Progress, Question

_LINE_LENGTH = 120


def fitted(question: Question, pieces: Sequence[Piece], arguments: argparse.Namespace) -> FailureModel:
    """Learn a model; its calibration comes from placebos of the same history."""
    rules = question.metrics.rules.rules
    metrics = learn([piece.tables for piece in pieces], rules, query_digests(question.metrics.metrics))
    metrics = with_warm_ups(metrics, rules, [piece.by_age for piece in pieces if piece.by_age])
    spec = FailureModelSpec(
        rollout_ref=FailureModelRef(name=question.rollout),
        window=_window(question),
        mode="Enforce" if arguments.enforce else "Shadow",
        valid_until=format_time(time.time() + arguments.valid_for),
        training=TrainingProvenance(
            from_=format_time(pieces[0].began_at),
            to=format_time(pieces[-1].began_at + SEGMENT_SECONDS),
            segments=len(pieces),
            segment_duration="40m",
            data_digest=data_digest(pieces),
            engine=f"coalmine {__version__}",
        ),
        metrics=metrics,
    )
    tally = _played(_trial(question, spec, len(pieces)), pieces, faults=False)
    quantile = decimal_text(placebo_quantile99(tally), "calibration.placebos.quantile99")
    placebos = PlaceboCalibration(count=len(tally.placebos), quantile99=quantile)
    spec = msgspec.structs.replace(spec, calibration=Calibration(placebos=placebos))
    return FailureModel(
        spec=spec, metadata=ObjectMeta(name=arguments.name or question.rollout, namespace=question.namespace)
    )


def _window(question: Question) -> str:
    """The interval that most metrics have; the others keep the priors."""
    intervals = [rule.interval_seconds for rule in question.metrics.rules.rules]
    return f"{max(intervals, key=intervals.count):g}s"


def _trial(question: Question, spec: FailureModelSpec, pieces: int, artefact: SentinelModel | None = None) -> Trial:
    given = applied(spec, question.metrics)
    if spec.sentinel is not None and artefact is not None:
        given = with_sentinel(given, spec, spec.sentinel, artefact, question.metrics)
    return trial_of(given, question.metrics, question.plan, pieces)


def _played(trial: Trial, pieces: Sequence[Piece], *, faults: bool) -> Tally:
    progress = Progress("placebos played", PLACEBOS_A_SEGMENT * len(pieces))
    tally = Tally()
    played = 0
    for tally in tried(trial, pieces, faults=faults):
        if len(tally.placebos) > played:
            played = len(tally.placebos)
            progress.step()
    return tally


def certified(
    spec: FailureModelSpec, question: Question, pieces: Sequence[Piece], artefact: SentinelModel | None
) -> tuple[Certificate, str]:
    """Try a model, and its sentinel where that may fail a release, on unseen pieces; the certificate, and a drift."""
    trial = _trial(question, spec, len(pieces), artefact)
    tally = _played(trial, pieces, faults=True)
    return certificate(trial, tally), drifted(tally)


def as_yaml(model: FailureModel) -> str:
    """The manifest, without the parts that are the API server's."""
    spec = msgspec.to_builtins(model.spec)
    metadata = {"name": model.metadata.name, "namespace": model.metadata.namespace}
    manifest = {"apiVersion": API_VERSION, "kind": "FailureModel", "metadata": metadata, "spec": spec}
    return yaml.safe_dump(manifest, sort_keys=False, width=_LINE_LENGTH)
