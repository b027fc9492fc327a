"""Raw samples as a metrics store has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.evidence.special import FloatArray

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RawSeries:
    """One series: sorted labels, scrape times in epoch seconds, and values; unsorted or broken ones too."""

    labels: Labels
    times: FloatArray
    values: FloatArray

    def label(self, name: str) -> str:
        """Return a label's value, empty where there is none."""
        return next((value for key, value in self.labels if key == name), "")


def labels_of(labels: Mapping[str, str]) -> Labels:
    """Return labels in the one order that makes equal label sets equal."""
    return tuple(sorted(labels.items()))
