"""What an anomaly does to a judgement: pure, on top of what the evidence says, so that a record replays both."""

from dataclasses import replace

from analysis.judgement import Action, Judgement
from analysis.sentinel_seen import SentinelSeen
from analysis.verdict import Verdict


def with_sentinel(judgement: Judgement, seen: SentinelSeen | None) -> Judgement:
    """Return the judgement with what the sentinel says.

    | onAnomaly | an anomaly |
    |---|---|
    | Report | is told |
    | Pause | makes a PASS INCONCLUSIVE; the rollout pauses, and evidence is gathered on |
    | Fail | makes the verdict FAIL; one that is driven by an improvement pauses |

    A FAIL by evidence stays what it is. Tolerances that are proven stay proven.

    Args:
        judgement: by evidence alone.
        seen: the sentinel's answer at the same look; None where there is no sentinel, or nothing to see yet.
    """
    if seen is None:
        return judgement
    action = _action(judgement, seen)
    judgement = replace(judgement, sentinel=seen, anomaly=action)
    match action:
        case "Fail":
            return replace(judgement, verdict=Verdict.FAIL, explanation=seen.words)
        case "Pause":
            return replace(judgement, verdict=Verdict.INCONCLUSIVE, explanation=seen.words)
        case "Report" if judgement.verdict is not Verdict.FAIL:
            return replace(judgement, explanation=f"{judgement.explanation}; {seen.words}")
        case _:
            return judgement


def _action(judgement: Judgement, seen: SentinelSeen) -> Action:
    if not seen.alarm:
        return ""
    if judgement.verdict is Verdict.FAIL:
        return "Report"
    if seen.on_anomaly == "Fail" and _improves(judgement, seen):
        # A distance knows no direction: who made a service faster is asked, and not rolled back.
        return "Pause"
    return seen.on_anomaly


def _improves(judgement: Judgement, seen: SentinelSeen) -> bool:
    """Whether what drives the score most is the better for it; unknown counts as harm, as it was asked to."""
    if not seen.drivers:
        return False
    first = seen.drivers[0]
    name = first.of(metric.name for metric in judgement.metrics)
    direction = next((metric.direction for metric in judgement.metrics if metric.name == name), "Either")
    return (direction == "Increase" and first.contrast < 0) or (direction == "Decrease" and first.contrast > 0)
