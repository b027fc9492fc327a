"""What health is."""

from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """Health of one object, with a reason in words unless it is healthy."""

    status: Literal["Healthy", "Progressing", "Degraded"]
    words: str = ""


HEALTHY = Health("Healthy")


def progressing(words: str) -> Health:
    """It may become healthy by waiting."""
    return Health("Progressing", words)


def degraded(words: str) -> Health:
    """It will not become healthy by waiting."""
    return Health("Degraded", words)
