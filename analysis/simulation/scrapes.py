"""What arrives at the metrics store of what pods did."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.simulation.fleet import BoolArray, Life


@dataclass(frozen=True)
class Scraped:
    """Increases between scrapes, at the window that the later scrape ends; (pods, windows) but for `buckets`.

    Attributes:
        shown: whether the scrape at the end of the window arrived.
        seconds: watched; 60 after one missed scrape of 30 s, 0 where it was missed or the process lost its counters.
        buckets: (pods, windows, buckets) requests by latency, not cumulative.
        memory_bytes: NaN where no sample arrived.
    """

    shown: BoolArray
    seconds: FloatArray
    requests: FloatArray
    errors: FloatArray
    buckets: FloatArray
    cpu_seconds: FloatArray
    memory_bytes: FloatArray

    def kept(self, where: BoolArray) -> "Scraped":
        """Return only what some windows of some pods show."""
        counted = self._changed(lambda amounts: amounts * _fitting(where, amounts))
        return replace(counted, shown=self.shown & where, memory_bytes=np.where(where, self.memory_bytes, np.nan))

    def after_restarts(self, restarted: BoolArray) -> "Scraped":
        """Return it without what processes had counted when they ended."""
        return self._changed(lambda amounts: amounts * _fitting(~restarted, amounts))

    def after_missed(self, missed: BoolArray) -> "Scraped":
        """Return it with counters of missed windows moved into the next one, and gauges lost."""
        moved = self._changed(lambda amounts: _moved(amounts, missed))
        return replace(moved, shown=self.shown & ~missed, memory_bytes=np.where(missed, np.nan, self.memory_bytes))

    def _changed(self, change: Callable[[FloatArray], FloatArray]) -> "Scraped":
        return replace(
            self,
            seconds=change(self.seconds),
            requests=change(self.requests),
            errors=change(self.errors),
            buckets=change(self.buckets),
            cpu_seconds=change(self.cpu_seconds),
        )


def scraped(happened: Scraped, life: Life, missed_share: float, random: np.random.Generator) -> Scraped:
    """Return what arrives of what happened: missed scrapes merge windows, restarts lose what was not scraped."""
    missed = (random.random(life.alive.shape) < missed_share) & life.alive
    # There is no window after the last one to merge it into.
    missed[:, -1] = False
    arrived = happened.kept(life.alive).after_restarts(life.restarted)
    # Again, for what a missed scrape had moved into a window with a restart.
    return arrived.after_missed(missed).after_restarts(life.restarted)


def _fitting(where: BoolArray, amounts: FloatArray) -> BoolArray:
    return where if amounts.ndim == where.ndim else where[:, :, None]


def _moved(amounts: FloatArray, missed: BoolArray) -> FloatArray:
    moved = amounts.copy()
    windows, pods = np.nonzero(missed.T)
    for window, pod in zip(windows, pods, strict=True):
        # In order of time, so that gaps of several scrapes add up.
        moved[pod, window + 1] += moved[pod, window]
        moved[pod, window] = 0.0
    return moved
