"""Which seeds are played: those that once failed, and as many others as are asked for."""

from pathlib import Path

FILE = Path(__file__).with_name("seeds.txt")


def failed_once(text: str | None = None) -> dict[int, str]:
    """Seeds of `seeds.txt`, and why they are there."""
    lines = (FILE.read_text() if text is None else text).splitlines()
    entries = (line.partition(" ") for line in lines if line.strip() and not line.startswith("#"))
    return {int(seed): reason.strip() for seed, _, reason in entries}


def seeds(count: int) -> list[int]:
    """Those that once failed first, then 0, 1, 2 ..."""
    known = failed_once()
    return [*known, *(seed for seed in range(count) if seed not in known)]
