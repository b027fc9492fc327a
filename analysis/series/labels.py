"""What the labels of a series say: whose it is, which counter it shows, and who scraped it."""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

from analysis.series.raw import Labels

BOUND_LABEL = "le"
# They say where something was scraped; without a pod's name they tell processes apart.
_PLACE_LABELS = frozenset({"instance", "node", "host_ip", "pod_ip"})
# Like the former they change, or are there twice, while the counter stays the same.
_SCRAPER_LABELS = frozenset(
    {"__name__", "job", "endpoint", "service", "prometheus", "prometheus_replica", "scrape_pool"}
)
_TARGET_LABELS = _PLACE_LABELS | _SCRAPER_LABELS
POD_NAME_MAX = 253


@dataclass(frozen=True)
class Described:
    """The facts about one label set.

    Attributes:
        pod: name; empty where series carry none.
        place: what is scraped as a whole: the pod, or what stands in for it.
        counter: equal for label sets that differ only by who scraped them.
        target: who scraped it, and where.
    """

    pod: str
    place: int
    counter: int
    target: int


def key_of(labels: Labels, side: str, *, by_bound: bool) -> tuple[int, str]:
    """Return the number of a label set, and its bound where label sets that differ by it belong together."""
    parts, bound = [side], ""
    for name, value in labels:
        if by_bound and name == BOUND_LABEL:
            bound = value
        else:
            parts.append(name)
            parts.append(value)
    return _number(parts), bound


def described(labels: Labels, side: str, pod_label: str, *, by_bound: bool) -> Described:
    """Return the facts about a label set."""
    kept = [pair for pair in labels if not (by_bound and pair[0] == BOUND_LABEL)]
    pod = next((value for name, value in labels if name == pod_label), "")[:POD_NAME_MAX] if pod_label else ""
    places = [part for pair in kept if pair[0] in _PLACE_LABELS for part in pair]
    place = [side, pod] if pod_label else [side, *places]
    same = [part for pair in kept if pair[0] not in _TARGET_LABELS for part in pair]
    target = [part for pair in kept if pair[0] in _TARGET_LABELS for part in pair]
    return Described(pod, _number(place), _number([*map(str, [_number(place)]), *same]), _number([side, *target]))


@lru_cache(maxsize=1024)
def bound_of(text: str) -> float | None:
    """Return a bucket's upper bound; None where the text is no number."""
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _number(parts: list[str]) -> int:
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
