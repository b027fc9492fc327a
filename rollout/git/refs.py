"""Commit ids."""

import re

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def is_commit(text: str) -> bool:
    """Whether the text is a full commit id (SHA-1 or SHA-256)."""
    return bool(_COMMIT.fullmatch(text))


def short(commit: str) -> str:
    """Seven characters of a commit id, for people."""
    return commit[:7]
