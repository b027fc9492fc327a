"""Fetching for a run: bounded questions, also where a restart has to ask for days again."""

import asyncio
from dataclasses import replace

import msgspec
import numpy as np

from analysis.comparison_spec import Comparison, CountsComparison, GaugeComparison, HistogramComparison
from analysis.errors import MeasurementError
from analysis.evidence.guards import PodSeen
from analysis.fetch import FETCH_SECONDS_MAX
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.measure import Look, RunMeasurer
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers.replay import ReplayProvider
from analysis.record import digest, replay
from analysis.run_spec import AnalysisRunSpec, Arm, Arms, RunComparison
from analysis.series.raw import RawSeries
from analysis.spec import Metric
from analysis.verdict import Verdict

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


def comparison(**family: object) -> Comparison:
    return Comparison(**{"tolerance": "100%", **family})  # type: ignore[arg-type]


PODS = '{pod=~"{{arms.pods}}"}'
FAMILIES = {
    "errors": comparison(counts=CountsComparison(events=f"e{PODS}", total=f"t{PODS}")),
    "crashes": comparison(counts=CountsComparison(events=f"r{PODS}", exposure="PodSeconds")),
    "latency": comparison(histogram=HistogramComparison(buckets=f"b{PODS}", tails=("250ms",), unit="Milliseconds")),
    "memory": comparison(gauge=GaugeComparison(query=f"m{PODS}")),
    "leak": comparison(gauge=GaugeComparison(query=f"m{PODS}", type="Growth")),
    "cpu": comparison(gauge=GaugeComparison(query=f"c{PODS}", type="Usage", load=f"t{PODS}")),
}
SPEC = AnalysisRunSpec(
    metrics=tuple(
        msgspec.structs.replace(METRIC, name=name, interval="30s", comparison=one) for name, one in FAMILIES.items()
    ),
    comparison=RunComparison(arms=ARMS, warm_up="60s"),
)
WEIGHTS = (WeightChange(START + 45, 10), WeightChange(START + 900, 50))


class Fleet(ReplayProvider):
    """Series of all families; a selector may fail for a while."""

    def __init__(self, slower: float = 1.0) -> None:
        random = np.random.default_rng(5)
        self.broken: str = ""
        self.spans: list[float] = []
        names = ("old-1", "old-2", "old-3", "new-1")
        found: dict[str, list[RawSeries]] = {letter: [] for letter in "etrbmc"}
        for name in names:
            times = np.arange(START - 60, START + 3000, 15.0) + float(random.integers(0, 15))
            requests = random.poisson(60.0, times.size)
            found["t"].append(RawSeries((("pod", name),), times, np.cumsum(requests)))
            found["e"].append(RawSeries((("pod", name),), times, np.cumsum(random.binomial(requests, 0.02))))
            found["r"].append(RawSeries((("pod", name),), times, np.zeros(times.size)))
            found["c"].append(RawSeries((("pod", name),), times, np.cumsum(requests * 0.01)))
            found["m"].append(RawSeries((("pod", name),), times, 1e8 * random.lognormal(0, 0.01, times.size)))
            factor = slower if name == "new-1" else 1.0
            within = np.cumsum(
                [random.binomial(requests, share) for share in (0.5 / factor, 0.4 / factor)] + [0 * requests], axis=0
            )
            for bound, counts in zip(("100", "250", "+Inf"), (within[0], within[1], requests), strict=True):
                series = np.cumsum(np.minimum(counts, requests))
                found["b"].append(RawSeries((("le", bound), ("pod", name)), times, series))
        super().__init__({f"{letter}{PATTERN}": some for letter, some in found.items()})

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        if self.broken and selector.startswith(self.broken):
            raise MeasurementError("the store is away")
        self.spans.append(end - start)
        return await super().samples(metric, selector, start, end)


def looked(provider: Fleet, *moments: float, broken: tuple[float, float, str] = (0.0, 0.0, "")) -> list[Judgement]:
    async def judged() -> list[Judgement]:
        measurer = RunMeasurer(SPEC, "shop", START, provider)
        found = []
        for moment in moments:
            provider.broken = broken[2] if broken[0] <= moment < broken[1] else ""
            found.append(await measurer.look(Look(START + moment, WEIGHTS)))
        return found

    return asyncio.run(judged())


STEPS = tuple(float(second) for second in range(20, 2400, 25))


def test_a_run_of_all_families_judges_the_same_look_by_look_and_after_a_restart() -> None:
    looks = looked(Fleet(), *STEPS, 2400.0)
    for moment in (300.0, 1245.0, 2400.0):
        (restarted,) = looked(Fleet(), moment)
        assert restarted == looked(Fleet(), *(step for step in STEPS if step < moment), moment)[-1]
    assert {metric.state.value for metric in looks[-1].metrics} == {"Collecting"}
    assert looks[-1].verdict is not Verdict.FAIL


def test_harm_in_a_histogram_fails_the_run_by_its_name_and_the_record_replays() -> None:
    judgement, record = asyncio.run(ended(Fleet(slower=2.0), 2400.0))
    assert judgement.verdict is Verdict.FAIL
    assert max(judgement.metrics, key=lambda metric: metric.log_evidence).name == "latency"
    assert replay(record) == judgement


async def ended(provider: Fleet, *moments: float) -> tuple[Judgement, bytes]:
    """The judgement that a run ends with, and its record."""
    measurer = RunMeasurer(SPEC, "shop", START, provider)
    assert await measurer.recorded() is None, "nothing was seen yet"
    seen = [await measurer.look(Look(START + moment, WEIGHTS)) for moment in moments]
    assert measurer.largest_log_evidence == max(judgement.log_evidence for judgement in seen)
    recorded = await measurer.recorded()
    assert recorded is not None
    assert replace(recorded[0], record_digest="") == seen[-1]
    return recorded


def test_a_run_without_harm_has_a_record_too_and_it_replays() -> None:
    judgement, record = asyncio.run(ended(Fleet(), *STEPS))
    assert judgement.verdict is not Verdict.FAIL
    assert judgement.record_digest == digest(record)
    assert replay(record) == judgement


def test_a_look_that_is_under_way_has_no_part_in_the_record() -> None:
    async def story() -> tuple[Judgement, bytes]:
        provider = Fleet()
        measurer = RunMeasurer(SPEC, "shop", START, provider)
        await measurer.look(Look(START + 600.0, WEIGHTS))
        at_rest = await measurer.recorded()
        # Hours later it takes in what came since piece by piece; its store fails at the second hour.
        reached = asyncio.Event()

        async def hold(*_: object) -> tuple[RawSeries, ...]:
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        later = START + 600.0 + 2 * FETCH_SECONDS_MAX
        fetches = Fleet.samples

        async def samples(metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
            if end >= later:
                return await hold()
            return await fetches(provider, metric, selector, start, end)

        provider.samples = samples  # type: ignore[method-assign]
        looking = asyncio.ensure_future(measurer.look(Look(later, WEIGHTS)))
        await reached.wait()
        recorded = await measurer.recorded()
        looking.cancel()
        assert recorded is not None
        assert recorded == at_rest
        return recorded

    judgement, record = asyncio.run(story())
    assert judgement.at == START + 600.0
    assert replay(record) == judgement


def test_a_look_asks_for_what_is_new_and_two_scrapes_more() -> None:
    provider = Fleet()
    looked(provider, *STEPS)
    roles = 8
    assert max(provider.spans[10 * roles :]) <= 25 + 2 * 15


def test_an_outage_of_the_store_holds_back_only_its_metric_and_nothing_is_lost() -> None:
    outage = looked(Fleet(), *STEPS, broken=(500.0, 1200.0, "b"))
    during = next(look for look in outage if look.at > START + 1100)
    assert [metric.name for metric in during.metrics if "the store is away" in metric.problems] == ["latency"]
    assert during.metrics[2].state is DataState.NO_DATA
    assert outage[-1] == looked(Fleet(), *STEPS)[-1]


def test_a_canary_that_never_becomes_ready_fails_at_the_deadline_of_its_rollout() -> None:
    settings = RunComparison(arms=ARMS, warm_up="60s", progress_deadline_seconds=900)
    spec = msgspec.structs.replace(SPEC, comparison=settings)

    async def judged() -> list[Judgement]:
        measurer = RunMeasurer(spec, "shop", START, Fleet())
        pods = (PodSeen("new-1", START + 10, ready=False), PodSeen("old-1", START - 9000))
        return [await measurer.look(Look(START + moment, WEIGHTS, pods)) for moment in (890.0, 920.0)]

    before, after = asyncio.run(judged())
    assert before.verdict is not Verdict.FAIL
    assert after.verdict is Verdict.FAIL
    assert "no canary pod became ready within 900 s" in after.explanation
