"""What a metric provider does, as Protocols: no base class to inherit."""

from typing import Protocol

from analysis.expr.nodes import Value
from analysis.series.raw import RawSeries
from analysis.spec import Metric


class MetricProvider(Protocol):
    """Gives an ordinary metric its value."""

    async def measure(self, metric: Metric, now: float) -> Value:
        """Return the value that conditions see as `result`.

        Args:
            metric: with all arguments filled in.
            now: epoch seconds.

        Raises:
            MeasurementError: there is no usable answer; its text names no secret.
            InvalidSpec: the metric's address is not allowed.
        """
        ...


class SeriesProvider(MetricProvider, Protocol):
    """Gives comparisons raw samples."""

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        """Return the raw samples of a vector selector in (start, end], with the times they were scraped at.

        Raises:
            MeasurementError: there is no usable answer; its text names no secret.
            InvalidSpec: the metric's address is not allowed.
        """
        ...
