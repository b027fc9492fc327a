"""Names of branches, tags and commits: checked before git sees them, so that none can look like an option."""

import re

from rollout.errors import InvalidSpec

_COMMIT = re.compile(r"^([0-9a-f]{40}|[0-9a-f]{64})$")
# The rules of git-check-ref-format(1), without its exotic corners.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$")


def is_commit(text: str) -> bool:
    """Whether the text is a full commit id (SHA-1 or SHA-256)."""
    return bool(_COMMIT.match(text))


def check_ref_name(field: str, name: str) -> None:
    """Raise InvalidSpec unless the name is a sane short name of a branch or tag."""
    if not name or len(name) > 255 or name[0] in "-./@" or _FORBIDDEN.search(name):
        raise InvalidSpec(field, f"{name!r} is not a name of a branch or tag", "write its short name, such as main")


def short(commit: str) -> str:
    """Seven characters of a commit id, for people."""
    return commit[:7]
