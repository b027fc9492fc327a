"""`coalmine analysis lint --prometheus`: dead metrics, lost labels and too many series, on a real Prometheus."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from rollout.cli.main import main
from tests.support.real_prometheus import RealPrometheus, Target

TEMPLATE = """\
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata: {{name: live}}
spec:
  metrics:
  - name: m
    interval: {interval}
    provider: {{prometheus: {{address: "http://elsewhere.invalid:9090"}}}}
    comparison:
      arms: {{podLabel: {label}}}
      counts:
        events: {name}{{{label}=~"{{{{arms.pods}}}}", code=~"5.."}}
        total: {name}{{{label}=~"{{{{arms.pods}}}}"}}
"""
CODES = ("200", "500")


def exposition() -> str:
    lines = [f'requests_total{{code="{code}"}} 7' for code in CODES]
    lines += [f'crowded_total{{code="{code}", user="{user}"}} 1' for code in CODES for user in range(150)]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def exporter() -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=exposition())

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def linted(folder: Path, address: str, *, name: str, label: str = "pod", interval: str = "30s") -> int:
    path = folder / f"{name}-{label}-{interval}.yaml"
    path.write_text(TEMPLATE.format(name=name, label=label, interval=interval))
    return main(["analysis", "lint", str(path), "--prometheus", address])


def test_lint_asks_a_real_prometheus_what_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def asked() -> dict[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        async with exporter() as target, RealPrometheus(tmp_path / "prometheus", 2) as prometheus:
            prometheus.watch([Target(target, {"pod": "web-1"})])
            await prometheus.until('count_over_time(requests_total{code="500"}[1m]) >= 4')
            for case, more in {
                "good": {"name": "requests_total"},
                "dead": {"name": "requets_total"},
                "label": {"name": "requests_total", "label": "pod_name"},
                "crowded": {"name": "crowded_total"},
                "short": {"name": "requests_total", "interval": "1s"},
            }.items():
                code = await asyncio.to_thread(linted, tmp_path, prometheus.url, **more)
                found[case] = code, capsys.readouterr().out
        return found

    found = asyncio.run(asked())
    code, seen = found["good"]
    assert code == 0, seen
    assert 'metric "m" counts.events' not in seen
    code, seen = found["dead"]
    assert code == 1
    assert 'metric "m" counts.events: no series of {__name__="requets_total", code=~"5.."} in the last hour' in seen
    scraped = re.search(r"is scraped every (\S+) s, and a window is 1 s", found["short"][1])
    assert scraped is not None, found["short"][1]
    assert float(scraped[1]) == pytest.approx(2, rel=0.3)
    code, seen = found["label"]
    assert code == 1
    assert "its series have no label pod_name" in seen
    code, seen = found["crowded"]
    assert code == 0, seen
    assert 'metric "m" counts.total: 300 series of 1 pods are fetched at every look' in seen


def test_a_prometheus_that_does_not_answer_is_an_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert linted(tmp_path, "http://127.0.0.1:9", name="requests_total") == 1
    seen = capsys.readouterr().err
    assert "--prometheus: cannot query Prometheus" in seen
    assert seen.count("\n") == 1
