"""Whether a live object differs from what a server-side apply of the desired one would give."""

from typing import Any

from rollout.domain.sync.objects import Json

# What every write changes, or another controller writes.
_METADATA = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})


def has_drifted(live: Json, wanted: Json) -> bool:
    """Whether applying would change anything.

    Args:
        live: as the API server gave it.
        wanted: the answer of a dry run of the apply, defaults included.
    """
    return bool(essence(live) != essence(wanted))


def essence(obj: Json) -> dict[str, Any]:
    """What is declared of an object: no status, and no metadata that every write changes."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _METADATA and value}
    rest = {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
    return {**rest, "metadata": metadata}
