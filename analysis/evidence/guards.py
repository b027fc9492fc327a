"""Hard guards: plain rules beside the evidence, on during warm-up too, each with its own false-alarm figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.evidence.metric_state import RawCounts

CRASH_RESTARTS_MIN = 3
CRASH_AGAIN_MIN = 1
CRASH_RATE_FACTOR = 10.0
ALL_FAIL_TOTAL_MIN = 20
ALL_FAIL_WINDOWS_MIN = 3
ALL_FAIL_STABLE_MAX = 0.5
MEMORY_KILLS_MIN = 2


@dataclass(frozen=True)
class PodSeen:
    """A pod as the API server shows it.

    Attributes:
        started_at: epoch seconds of its process; None while it has not started.
        ready: whether it is ready, or was once.
        memory_kills: how often a container of it was seen to end by OOMKilled.
        accepted_at: epoch seconds at which a node took the pod; None where only the process' start is known.
        gone: whether it ended, or is being deleted; what it did counts, but it is waited for no more.
        restarts_before: of `restarts`, those before the run: nothing that the run's canary did.
        kills_before: of `memory_kills`, the same.
    """

    name: str
    started_at: float | None
    restarts: int = 0
    ready: bool = True
    memory_kills: int = 0
    accepted_at: float | None = None
    gone: bool = False
    restarts_before: int = 0
    kills_before: int = 0

    @property
    def began_at(self) -> float | None:
        """Epoch seconds of its beginning: a restarted container makes no new pod; None while it has not begun."""
        return self.started_at if self.accepted_at is None else self.accepted_at


def pods_guard(canary: Sequence[PodSeen], stable: Sequence[PodSeen], now: float, deadline_seconds: float | None) -> str:
    """Return what is wrong with the canary's pods, as a sentence, the most telling one first; else nothing.

    Args:
        canary: pods of the canary, dead ones too.
        stable: pods of stable, dead ones too.
        now: epoch seconds.
        deadline_seconds: until when a pod of the canary has to be ready; None where a slow start is only said.
    """
    late = "" if deadline_seconds is None else never_ready(canary, now, deadline_seconds)
    return out_of_memory(canary, stable) or crash_loop(canary, stable, now) or late


def crash_loop(canary: Sequence[PodSeen], stable: Sequence[PodSeen], now: float) -> str:
    """Return a sentence where canary pods restart over and over, else nothing.

    At least 3 restarts, and more than 10 times stable's rate per second of pod life. Where every pod of stable has
    restarted, pods may have to once, since they start before what they need: then one must come after a pod's first.
    It fired in none of 300 simulated rollouts without a fault, and in 299 of 300 with a slow crash loop.
    """
    restarts = [pod.restarts - pod.restarts_before for pod in canary]
    again = sum(max(count - 1, 0) for count in restarts)
    usual = bool(stable) and all(pod.restarts > 0 for pod in stable)
    if sum(restarts) < CRASH_RESTARTS_MIN or (usual and again < CRASH_AGAIN_MIN):
        return ""
    stables = sum(pod.restarts for pod in stable)
    if _rate(sum(restarts), canary, now) <= CRASH_RATE_FACTOR * _rate(stables, stable, now):
        return ""
    return f"canary pods restarted {sum(restarts)} times, stable's {stables}"


def _rate(restarts: int, pods: Sequence[PodSeen], now: float) -> float:
    seconds = sum(max(now - pod.began_at, 1.0) for pod in pods if pod.began_at is not None)
    return restarts / seconds if seconds > 0 else 0.0


def all_fail(counts: RawCounts) -> str:
    """Return a sentence where every request to the canary failed and stable's did not, else nothing.

    At least 20 requests in at least 3 windows. A canary that fails half of its requests shows this by chance
    once in a million.
    """
    if counts.canary_total < ALL_FAIL_TOTAL_MIN or counts.canary_windows < ALL_FAIL_WINDOWS_MIN:
        return ""
    stable_rate = counts.stable_events / counts.stable_total if counts.stable_total > 0 else 1.0
    if counts.canary_events < counts.canary_total or stable_rate >= ALL_FAIL_STABLE_MAX:
        return ""
    return f"all {counts.canary_total:.0f} canary requests failed, {stable_rate:.2%} of stable's"


def out_of_memory(canary: Sequence[PodSeen], stable: Sequence[PodSeen]) -> str:
    """Return a sentence where containers of the canary were killed for memory over and over and stable's never.

    At least 2 kills. A fact, not chance: a release that needs more than its limit is killed again.
    """
    kills = sum(pod.memory_kills - pod.kills_before for pod in canary)
    if kills < MEMORY_KILLS_MIN or sum(pod.memory_kills for pod in stable) > 0:
        return ""
    return f"canary containers were killed {kills} times for using more memory than their limit, stable's never"


def never_ready(canary: Sequence[PodSeen], now: float, deadline_seconds: float) -> str:
    """Return a sentence where no canary pod became ready within the deadline, else nothing.

    Pods that no node has taken yet do not count, nor do those that are gone: who took them away may have scaled the
    rollout to nothing, or lost a node. It is a matter of fact, not of chance: there is no false alarm.
    """
    started = [pod.began_at for pod in canary if pod.began_at is not None and not pod.gone]
    if not started or any(pod.ready for pod in canary) or now - min(started) < deadline_seconds:
        return ""
    return f"no canary pod became ready within {deadline_seconds:.0f} s"
