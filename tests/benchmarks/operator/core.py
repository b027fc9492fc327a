"""CPU of pure decisions, without any server."""

import time
from collections.abc import Callable

from rollout.domain.progress.podhash import computed_pod_hashes
from rollout.domain.rollout import decide
from tests.benchmarks.operator.figures import Figure
from tests.benchmarks.operator.settings import Size
from tests.model import routed_model, spec, template

CALLS, ROUNDS = 200, 7


def measure(size: Size) -> list[Figure]:
    """Microseconds of one call, a round a sample."""
    model = routed_model()
    model.settle()
    healthy = model.world()
    model.edit(spec("v2", routed=True))
    model.settle()
    paused = model.world()
    calls = CALLS if size.repeat > 1 else 10
    return [
        Figure("CPU of a decision about a healthy Rollout", "us", _rounds(lambda: decide(healthy, model.now), calls)),
        Figure("CPU of a decision about a paused canary", "us", _rounds(lambda: decide(paused, model.now), calls)),
        Figure(
            "CPU of both forms of a pod-template-hash",
            "us",
            _rounds(lambda: computed_pod_hashes(template("v1")), calls),
        ),
    ]


def _rounds(work: Callable[[], object], calls: int) -> tuple[float, ...]:
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(calls):
            work()
        rounds.append((time.process_time() - began) / calls * 1e6)
    return tuple(rounds)
