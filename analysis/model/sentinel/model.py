"""A sentinel: a detector with the names of what it sees and the healthy rollouts that say what is unusual."""

from typing import Annotated, Literal

import msgspec

from analysis.model.artefact import parse_artefact
from analysis.model.sentinel.contrasts import FEATURES_MAX, Row
from analysis.model.sentinel.detector import Detector
from analysis.model.sentinel.forest import IsolationForestDetector
from analysis.model.sentinel.mahalanobis import MahalanobisDetector
from analysis.model.sentinel.neighbors import NearestNeighborsDetector

NAME_MAX = 253
ROLLOUTS_MAX = 10_000

AnyDetector = MahalanobisDetector | NearestNeighborsDetector | IsolationForestDetector

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]


class SentinelModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The artefact that a FailureModel's `sentinel.artifact` names. It is data: nothing in it is ever run."""

    version: Literal[1] = msgspec.field(default=1)
    """Version of this shape."""
    features: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=FEATURES_MAX)]
    """Names of the contrasts, in the order of the detector's coordinates."""
    medians: Row
    """What each contrast usually is, for the explanation."""
    largest_scores: Annotated[tuple[float, ...], msgspec.Meta(max_length=ROLLOUTS_MAX)]
    """Largest score of each healthy rollout that was kept from fitting, sorted."""
    detector: AnyDetector
    """What scores a look."""

    def __post_init__(self) -> None:
        """Refuse names, medians and a detector that do not fit together, and scores that are not sorted."""
        detector: Detector = self.detector
        if {len(self.medians), detector.dimensions} != {len(self.features)}:
            raise ValueError("features, medians and the detector have different numbers of contrasts")
        if len(set(self.features)) != len(self.features):
            raise ValueError("a feature is named twice")
        if list(self.largest_scores) != sorted(self.largest_scores):
            raise ValueError("largestScores are not sorted")


def parse_sentinel(data: bytes, expected_digest: str = "", field: str = "sentinel.artifact") -> SentinelModel:
    """Return the sentinel of an artefact's bytes; raises InvalidSpec as `parse_artefact` does."""
    return parse_artefact(data, SentinelModel, expected_digest, field)
