"""The message of a revert commit: a subject for people, trailers for programs."""

from collections.abc import Iterable

from rollout.domain.sync.plan import ATTEMPTS_LISTED_MAX, RevertPlan

REVERT_ID = "Rollout-Revert-Id"
REVERT_OF = "Rollout-Revert-Of"
ROLLOUT = "Rollout"
FAILED_DIGEST = "Rollout-Failed-Digest"
RESTORED_DIGEST = "Rollout-Restored-Digest"
ANALYSIS = "Rollout-Analysis"
RELEASE = "Rollout-Release"

_SUBJECT_LENGTH_MAX = 100
_REASON_LENGTH_MAX = 2000


def commit_message(plan: RevertPlan, commits: Iterable[str]) -> str:
    """Message of the commit that takes a change back; the same for every repetition.

    Args:
        plan: what is taken back.
        commits: the commits in which the change was made; the first twenty are named.
    """
    what = f"{plan.namespace}/{plan.name}"
    # The weight is an analysis run's to remember; without one it is better not told than told as 0.
    where = f" at {plan.weight_percent}%" if plan.weight_percent else ""
    subject = _line(f"revert({what}): {plan.subject} failed{where}", _SUBJECT_LENGTH_MAX)
    trailers = [
        (REVERT_ID, plan.id),
        (REVERT_OF, f"{plan.good}..{plan.bad}"),
        *((REVERT_OF, commit) for commit in tuple(commits)[:ATTEMPTS_LISTED_MAX]),
        (ROLLOUT, f"{what}@{plan.uid}"),
        (FAILED_DIGEST, plan.failed_digest),
        (RESTORED_DIGEST, plan.healthy_digest),
        *([(ANALYSIS, plan.analysis_run)] if plan.analysis_run else []),
    ]
    body = _line(plan.reason, _REASON_LENGTH_MAX)
    lines = "\n".join(f"{key}: {_line(value, 500)}" for key, value in trailers)
    return "\n\n".join(part for part in (subject, body, lines) if part) + "\n"


def _line(text: str, length: int) -> str:
    """One line of printable text, so that no value can forge a trailer."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())[:length]
