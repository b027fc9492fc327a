"""A provider that answers from series it holds: for replays, notebooks and simulations."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.errors import MeasurementError
from analysis.expr.nodes import Value
from analysis.series.raw import RawSeries
from analysis.spec import Metric


class ReplayProvider:
    """Answers each selector with the samples it holds for that text, up to the time asked for.

    Args:
        series: by selector, as the metric has it once its arguments are filled in.
        values: of ordinary metrics, by the metric's name.
    """

    def __init__(self, series: Mapping[str, Sequence[RawSeries]], values: Mapping[str, Value] | None = None) -> None:
        self._series, self._values = series, values or {}

    async def measure(self, metric: Metric, now: float) -> Value:
        """Return the value held for the metric."""
        del now
        if metric.name not in self._values:
            raise MeasurementError(f'the recording has no value of metric "{metric.name}"')
        return self._values[metric.name]

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        """Return the samples in (start, end]; none where the recording does not know the selector."""
        del metric
        cut = []
        for one in self._series.get(selector, ()):
            inside = (one.times > start) & (one.times <= end)
            if bool(np.any(inside)):
                cut.append(RawSeries(one.labels, one.times[inside], one.values[inside]))
        return tuple(cut)
