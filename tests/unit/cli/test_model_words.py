"""FailureModels in words: one of a thing is told as one."""

import msgspec

from analysis.comparison_spec import FailureModelRef
from analysis.failure_model_spec import Certificate, FailureModelSpec, HeldOut, TrainingProvenance
from analysis.model.sentinel.acting import ActingSentinel
from analysis.model.sentinel.mahalanobis import MahalanobisDetector
from analysis.model.sentinel.model import SentinelModel
from rollout.cli.model_sentinel import sentinel_words
from rollout.cli.model_words import certificate_words, learned

HELD = HeldOut(from_="2026-11-01T00:00:00Z", to="2026-11-01T00:40:00Z", segments=1)
ALONE = Certificate(budget="1%", placebos=1, false_rollbacks=0, false_rollback_upper_bound="95%", held_out=HELD)
MANY = msgspec.structs.replace(ALONE, placebos=4, held_out=msgspec.structs.replace(HELD, segments=2))


def test_a_certificate_counts_its_placebos() -> None:
    when = "2026-11-01T00:00:00Z to 2026-11-01T00:40:00Z:"
    assert certificate_words(ALONE, "")[0] == f"1 placebo of 1 piece of history, {when}"
    assert certificate_words(MANY, "")[0] == f"4 placebos of 2 pieces of history, {when}"


def test_what_was_learned_counts_its_pieces() -> None:
    spec = FailureModelSpec(
        rollout_ref=FailureModelRef(name="shop"), window="30s", training=TrainingProvenance(segments=1)
    )
    assert learned(spec) == ["learned from 1 piece of history:"]


def test_a_sentinel_counts_its_contrasts() -> None:
    detector = MahalanobisDetector(mean=(0.0,), covariance=((1.0,),))
    artefact = SentinelModel(features=("errors",), medians=(0.0,), largest_scores=(0.0,), detector=detector)
    acting = ActingSentinel("Mahalanobis", artefact, "sha256:aa", "Report", 0.02)
    (line,) = sentinel_words(acting, artefact)
    assert line.startswith("sentinel over 1 contrast, by 1 placebo that it did not learn from;")
