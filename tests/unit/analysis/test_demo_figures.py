"""The figures that the demo promises, through every part: samples, windows, evidence, life of the run."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from analysis.comparison_spec import Comparison, CountsComparison
from analysis.durations import format_time
from analysis.judgement import WeightChange
from analysis.measure import Look, RunMeasurer
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers.replay import ReplayProvider
from analysis.rules import CountsRule, MetricRule
from analysis.run import decide
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, Arm, Arms, RunComparison
from analysis.spec import Metric
from analysis.verdict import AnalysisPhase, Verdict
from analysis.world import LookDue, RunWorld
from tests.support.counters import Scrapes, SimulatedArm, counters
from tests.support.judging import Scenario, arm, looks, rules_of, table

START = 1_800_000_000.0
WARM_UP = 5
ERRORS, REQUESTS = 'errors{pod=~"{{arms.pods}}"}', 'requests{pod=~"{{arms.pods}}"}'
FILLED = "(shop-aaa-[a-z0-9]+|shop-bbb-[a-z0-9]+)"

SPEC = AnalysisRunSpec(
    metrics=(
        Metric(
            name="http-errors",
            interval="1s",
            provider=MetricProvider(prometheus=PrometheusMetric(address="http://prometheus")),
            comparison=Comparison(
                counts=CountsComparison(events=ERRORS, total=REQUESTS), tolerance="400%", budget_weight=25
            ),
        ),
    ),
    comparison=RunComparison(
        warm_up=f"{WARM_UP}s",
        arms=Arms(canary=Arm(pods="shop-bbb-[a-z0-9]+"), stable=Arm(pods="shop-aaa-[a-z0-9]+")),
    ),
)


def recording(seed: int, canary_errors: float) -> ReplayProvider:
    scrapes = Scrapes(START - 30, START + 200, 1.0)
    arms = [
        SimulatedArm(tuple(f"shop-aaa-{i}" for i in range(4)), 100, 0.02, START - 3600),
        SimulatedArm(tuple(f"shop-bbb-{i}" for i in range(4)), 100, canary_errors, START),
    ]
    parts = [counters(arm, scrapes, seed * 2 + i) for i, arm in enumerate(arms)]
    return ReplayProvider(
        {
            f'errors{{pod=~"{FILLED}"}}': parts[0][0] + parts[1][0],
            f'requests{{pod=~"{FILLED}"}}': parts[0][1] + parts[1][1],
        }
    )


async def follow(seed: int, canary_errors: float, seconds: int, every: int = 1) -> tuple[int | None, int | None, str]:
    """Seconds of data (after the warm-up) until FAIL and until every tolerance is proven, and the last message."""
    measurer = RunMeasurer(SPEC, "shop", START, recording(seed, canary_errors))
    weights = (WeightChange(START, 50),)
    proven, message = None, ""
    for second in range(every, seconds + WARM_UP, every):
        seen = await measurer.look(Look(START + second, weights))
        if seen.proven and proven is None:
            proven = second - WARM_UP
        message = seen.explanation
        if seen.verdict is Verdict.FAIL:
            return second - WARM_UP, proven, message
    return None, proven, message


@pytest.mark.parametrize("seed", range(6))
def test_thirty_percent_of_errors_fail_after_about_half_a_minute_of_data(seed: int) -> None:
    failed, proven, message = asyncio.run(follow(seed, 0.30, 60))
    assert failed is not None
    assert 20 <= failed <= 36
    assert proven is None
    assert "limit 100:1" in message


@pytest.mark.parametrize("seed", range(6))
def test_a_healthy_canary_is_proven_within_a_minute(seed: int) -> None:
    failed, proven, _ = asyncio.run(follow(seed, 0.02, 70))
    assert failed is None
    assert proven is not None
    assert 15 <= proven <= 60


def healthy(seed: int, seconds: int) -> Scenario:
    random = np.random.default_rng(seed)
    arms = []
    for prefix in ("new", "old"):
        requests = random.poisson(25.0, (4, seconds))
        amounts = np.stack([random.binomial(requests, 0.02), requests], axis=2).astype(np.float64)
        arms.append(arm(prefix, amounts, 1.0))
    rule = MetricRule("http-errors", 1.0, CountsRule(), 0.1, tolerance=4.0, budget_weight=25)
    return Scenario(rules_of(rule), {"http-errors": table(arms[0], arms[1], interval=1.0)})


def test_no_healthy_rollout_of_sixty_fails() -> None:
    failed = [
        seed
        for seed in range(60)
        if any(look.judgement.verdict is Verdict.FAIL for look in looks(healthy(seed, 120), range(4, 121, 4)))
    ]
    assert failed == []


def test_the_life_of_a_failing_run_ends_failed_with_the_figures_in_its_message() -> None:
    async def live() -> AnalysisRunStatus:
        measurer = RunMeasurer(SPEC, "shop", START, recording(3, 0.30))
        world = RunWorld(SPEC, AnalysisRunStatus())
        now = START
        for _ in range(200):
            decision = decide(world, now)
            if not decision.status.phase.completed:
                world = RunWorld(SPEC, decision.status, judgement=world.judgement)
            assert decide(world, now).status == decision.status
            if decision.status.phase.completed:
                recorded = await measurer.recorded()
                assert recorded is not None
                return decide(replace(world, judgement=recorded[0]), now).status
            if LookDue() in decision.due:
                judgement = await measurer.look(Look(now, (WeightChange(START, 50),)))
                world = RunWorld(SPEC, decision.status, judgement=judgement)
            else:
                assert decision.wake_at is not None
                now = decision.wake_at
        raise AssertionError("the run never ended")

    status = asyncio.run(live())
    assert status.phase is AnalysisPhase.FAILED
    assert status.started_at == format_time(START)
    assert status.message.startswith('Metric "http-errors" assessed Failed: canary/stable ')
    assert status.comparison is not None
    assert status.comparison.record_digest.startswith("sha256:")
    assert status.metric_results[0].comparison is not None
    assert status.metric_results[0].comparison.canary.pods == 4
