"""The whole loop on a real Prometheus: what histograms and processor time say decides about traffic."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.kube.resources import ANALYSIS_RUNS
from rollout.sandbox.box import Sandbox
from tests.stories.stage import Stage, manifests
from tests.support.real_prometheus import binary

# Canary pods carry twice the load of stable ones: with few and slow requests a busy machine adds the same to both.
RATE = 40
STEPS = "[{setWeight: 50}, {verify: {timeout: 15m, onTimeout: Pause}}]"
ANALYSIS = "{templates: [{templateName: health}], comparison: {warmUp: 5s}}"


@pytest.fixture(scope="module")
def box(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of its own."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), prometheus=Path(binary()))
    runner.run(sandbox.__aenter__())
    yield sandbox
    runner.run(sandbox.__aexit__(None, None, None))


def template(stage: Stage) -> str:
    """Errors, latency and processor time of both arms compared.

    The canary's pods carry twice the load of stable's: without a model nobody knows what an idle pod costs, so that
    equal processor time cannot be proven.
    """
    pods = '{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}'
    errors = f'{pods[:-1]}, code="500"}}'
    provider = f'{{prometheus: {{address: "{stage.box.prometheus_url}"}}}}'
    return f"""\
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata: {{name: health}}
spec:
  metrics:
  - name: errors
    interval: 1s
    provider: {provider}
    comparison:
      counts:
        events: http_requests_total{errors}
        total: http_requests_total{pods}
      tolerance: 400%
  - name: latency
    interval: 1s
    provider: {provider}
    comparison:
      histogram: {{buckets: 'http_request_duration_seconds_bucket{pods}'}}
      tolerance: 50%
  - name: cpu
    interval: 1s
    provider: {provider}
    comparison:
      gauge:
        type: Usage
        query: process_cpu_seconds_total{pods}
        load: http_requests_total{pods}
"""


def test_a_good_release_is_promoted_and_a_slower_one_taken_off_the_traffic(stage: Stage) -> None:
    async def story() -> None:
        usual = {"error_rate": 0.05, "latency_seconds": 0.4, "cpu_seconds_per_request": 0.001}
        for version in (1, 2):
            stage.image(f"real:{version}", **usual)
        stage.image("real:3", **{**usual, "latency_seconds": 0.8})
        await stage.apply(template(stage))
        await stage.apply(manifests(stage, "real:1", replicas=6, steps=STEPS, analysis=ANALYSIS))
        await stage.until_healthy("real:1")
        await stage.clients(RATE)
        await stage.release("real:2")
        stable = (await stage.until_healthy("real:2"))["stableRS"]

        await stage.release("real:3")
        status = await stage.until_phase("Degraded", "RolloutAborted")
        assert status["stableRS"] == stable
        assert 'Metric "latency" assessed Failed' in status["message"]
        await stage.until_weight(0)
        assert stage.unanswered() == 0
        run = await stage.get(ANALYSIS_RUNS, status["canary"]["currentBackgroundAnalysisRunStatus"]["name"])
        ratios = {m["name"]: float(m["comparison"]["ratio"]) for m in run["status"]["metricResults"]}
        assert ratios.keys() == {"errors", "latency", "cpu"}
        assert 1.5 < ratios["latency"] < 2.5

    stage.play(story())
