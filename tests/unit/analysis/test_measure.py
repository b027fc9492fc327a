"""Fetching for a run: bounded questions, also where a restart has to ask for days again."""

import asyncio

import numpy as np

from analysis.comparison_spec import Comparison, CountsComparison
from analysis.errors import MeasurementError
from analysis.judgement import Judgement, WeightChange
from analysis.measure import FETCH_SECONDS_MAX, Look, RunMeasurer
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers.replay import ReplayProvider
from analysis.run_spec import AnalysisRunSpec, Arm, Arms, RunComparison
from analysis.series.raw import RawSeries
from analysis.spec import Metric

START = 1_800_000_000.0
DAY_SECONDS = 86_400.0
OVERLAP_SECONDS_MAX = 2 * 60.0
PATTERN = '{pod=~"(old-[a-z0-9]+|new-[a-z0-9]+)"}'
METRIC = Metric(
    name="errors",
    provider=MetricProvider(prometheus=PrometheusMetric(address="http://prometheus", query="up")),
    interval="60s",
    comparison=Comparison(counts=CountsComparison(events='e{pod=~"{{arms.pods}}"}', total='t{pod=~"{{arms.pods}}"}')),
)
ARMS = Arms(canary=Arm(pods="new-[a-z0-9]+"), stable=Arm(pods="old-[a-z0-9]+"))


class Store(ReplayProvider):
    """A store that refuses an answer of more than two hours, as a bound on bodies would."""

    def __init__(self) -> None:
        times = np.arange(START - 120, START + DAY_SECONDS, 60.0)
        pods = [RawSeries((("pod", name),), times, np.arange(times.size) * 60.0) for name in ("old-1", "new-1")]
        nothing = [RawSeries(one.labels, one.times, one.values * 0) for one in pods]
        super().__init__({f"t{PATTERN}": pods, f"e{PATTERN}": nothing})
        self.spans: list[tuple[float, float]] = []

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        if end - start > 2 * FETCH_SECONDS_MAX:
            raise MeasurementError("the answer has more bytes than anybody wants to read")
        if selector.startswith("t"):
            self.spans.append((start, end))
        return await super().samples(metric, selector, start, end)


def test_a_run_of_a_day_is_read_again_after_a_restart_in_bounded_pieces_without_a_gap() -> None:
    store = Store()

    async def judged() -> Judgement:
        spec = AnalysisRunSpec(metrics=(METRIC,), comparison=RunComparison(arms=ARMS, warm_up="0s"))
        measurer = RunMeasurer(spec, "shop", START, store)
        return await measurer.look(Look(START + DAY_SECONDS, (WeightChange(START, 50),)))

    found = asyncio.run(judged()).metrics[0]
    assert found.problems == ()
    assert found.canary.total == found.stable.total > 0.99 * DAY_SECONDS
    assert store.spans[0][0] < START
    assert store.spans[-1][1] == START + DAY_SECONDS
    for before, after in zip(store.spans, store.spans[1:], strict=False):
        assert before[1] - OVERLAP_SECONDS_MAX <= after[0] <= before[1]
