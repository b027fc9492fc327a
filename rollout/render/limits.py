"""How much a render may read, take and give."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one render; passing one is a RenderError that names the file."""

    file_bytes: int = MEBIBYTE
    total_bytes: int = 32 * MEBIBYTE
    files: int = 5000
    objects: int = 5000
    rendered_bytes: int = 32 * MEBIBYTE
    """Of all objects together, aliases expanded."""
    yaml_events: int = 200_000
    yaml_depth: int = 64
    seconds: float = 30.0
    memory_bytes: int = 2048 * MEBIBYTE


DEFAULT_LIMITS = Limits()
