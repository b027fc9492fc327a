"""Time that passes faster for the engine than for the processes it looks at: nothing else about them is pretended.

A leak is told from the growth of a young process after a quarter of an hour; a test has a minute or two.
"""

import asyncio
import time
from dataclasses import dataclass, field

from analysis.expr.nodes import Value
from analysis.providers.base import SeriesProvider
from analysis.series.raw import RawSeries
from analysis.spec import Metric


@dataclass(frozen=True)
class StretchedTime:
    """A provider whose samples lie further apart, and the clock that fits.

    Attributes:
        provider: of the real samples.
        factor: seconds that the engine sees of one second.
        origin: epoch seconds at which both clocks are equal.
    """

    provider: SeriesProvider
    factor: float
    origin: float = field(default_factory=time.time)

    def now(self) -> float:
        """Epoch seconds for the engine."""
        return self.stretched(time.time())

    def stretched(self, real: float) -> float:
        """The engine's time of a real one."""
        return self.origin + (real - self.origin) * self.factor

    async def sleep_until(self, at: float) -> None:
        """Wait until the engine's time."""
        await asyncio.sleep(max(self._real(at) - time.time(), 0.01))

    def _real(self, stretched: float) -> float:
        return self.origin + (stretched - self.origin) / self.factor

    async def measure(self, metric: Metric, now: float) -> Value:
        """The value of an ordinary metric."""
        return await self.provider.measure(metric, self._real(now))

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        """The samples in (start, end], each at its stretched time."""
        found = await self.provider.samples(metric, selector, self._real(start), self._real(end))
        return tuple(
            RawSeries(one.labels, self.origin + (one.times - self.origin) * self.factor, one.values) for one in found
        )
