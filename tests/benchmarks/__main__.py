"""`make bench`: CPU of the pure core on this machine, as a table. Whole rollouts come with the real cluster."""

import platform
import statistics
import time
from collections.abc import Callable

from rollout.domain.progress.podhash import computed_pod_hashes
from rollout.domain.rollout import decide
from tests.model import routed_model, spec, template

RUNS, ROUNDS = 200, 7


def microseconds(work: Callable[[], object]) -> tuple[float, float, float]:
    """Least, median and most CPU time of one call, over several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(RUNS):
            work()
        rounds.append((time.process_time() - began) / RUNS * 1e6)
    return min(rounds), statistics.median(rounds), max(rounds)


def main() -> None:
    """Measure and print."""
    model = routed_model()
    model.settle()
    healthy = model.world()
    model.edit(spec("v2", routed=True))
    model.settle()
    paused = model.world()
    rows = {
        "a turn of a healthy Rollout": lambda: decide(healthy, model.now),
        "a turn of a paused canary": lambda: decide(paused, model.now),
        "both forms of a pod-template-hash": lambda: computed_pod_hashes(template("v1")),
    }
    print(f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}; CPU µs a call")
    print(f"{'':36}{'min':>10}{'median':>10}{'max':>10}")
    for name, work in rows.items():
        least, median, most = microseconds(work)
        print(f"{name:36}{least:10.1f}{median:10.1f}{most:10.1f}")


if __name__ == "__main__":
    main()
