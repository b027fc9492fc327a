"""Every preset against what its component really prints: two scrapes of canary and stable, by the real client."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml
from aiohttp import web

from analysis.arguments import fill_metric, fill_selector, run_values
from analysis.background_spec import RolloutAnalysisBackground
from analysis.presets.load import presets
from analysis.providers.prometheus import PrometheusProvider
from analysis.run_spec import AnalysisRunSpec, Arm, Arms
from analysis.series.raw import RawSeries
from analysis.spec import AnalysisTemplateSpec, Argument, Metric, TemplateRef
from analysis.template import build_run
from rollout.sandbox.prometheus.api import make_app
from rollout.sandbox.prometheus.store import Store

TEXTS = Path(__file__).parents[1] / "golden" / "exposition"
FIRST, SECOND = 1_700_000_000.0, 1_700_000_030.0
NAMESPACE = "shop"
CANARY_POD, STABLE_POD = "checkout-79c9b9f6bf-c7x2p", "checkout-6d5f8c7b9d-4kqzt"
ARMS = Arms(
    canary=Arm(pod_template_hash="79c9b9f6bf", pods="checkout-79c9b9f6bf-[a-z0-9]+", service="checkout-canary"),
    stable=Arm(pod_template_hash="6d5f8c7b9d", pods="checkout-6d5f8c7b9d-[a-z0-9]+", service="checkout"),
)

Labels = dict[str, str]
Pair = tuple[float, float]
"""Of the canary, and of stable."""


@dataclass(frozen=True)
class Slower:
    """Requests of a histogram in all, and those above a bound in seconds."""

    requests: Pair
    bound_seconds: float
    slower: Pair


@dataclass(frozen=True)
class Case:
    """A preset, the files that are scraped with the labels that the scraper adds, and what the selectors must give."""

    preset: str
    scraped: Mapping[str, Labels]
    expected: Mapping[str, Pair | Slower]
    args: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "+".join([self.preset, *{Path(name).parent.name + Path(name).name for name in self.scraped}][:2])


def pods(folder: str, pod_label: str = "pod", namespace_label: str = "namespace") -> dict[str, Labels]:
    """Scrape both pods themselves, as a PodMonitor does."""
    return {
        f"{folder}/{arm}": {pod_label: pod, namespace_label: NAMESPACE, "instance": f"10.0.0.{number}:8080"}
        for number, (arm, pod) in enumerate((("canary", CANARY_POD), ("stable", STABLE_POD)), 1)
    }


GATEWAY = {"namespace": "gateways", "pod": "gateway-0", "instance": "10.0.9.1:9000"}

CASES = [
    Case(
        "coalmine-istio-http",
        pods("istio"),
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.025, (70, 0)),
        },
    ),
    Case(
        "coalmine-istio-http",
        pods("istio", "kubernetes_pod_name", "kubernetes_namespace"),
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.05, (10, 0)),
        },
        {"pod-label": "kubernetes_pod_name", "namespace-label": "kubernetes_namespace"},
    ),
    Case(
        "coalmine-linkerd-http",
        pods("linkerd"),
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.01, (80, 96)),
        },
    ),
    Case(
        "coalmine-envoy-http",
        {"envoy/contour": GATEWAY},
        {
            "http-errors.events": (10, 10),
            "http-errors.total": (50, 200),
            "http-latency.buckets": Slower((50, 200), 0.01, (50, 0)),
        },
    ),
    Case(
        "coalmine-envoy-http",
        {"envoy/plain": GATEWAY},
        {
            "http-errors.events": (5, 5),
            "http-errors.total": (25, 100),
            "http-latency.buckets": Slower((25, 100), 0.01, (25, 0)),
        },
    ),
    Case(
        "coalmine-ingress-nginx-http",
        {"ingress-nginx/controller": {**GATEWAY, "service": "ingress-nginx-controller-metrics"}},
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.025, (70, 0)),
        },
    ),
    Case(
        "coalmine-traefik-http",
        {"traefik/crd": GATEWAY},
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.1, (70, 96)),
        },
    ),
    Case(
        "coalmine-traefik-http",
        {"traefik/gateway": {**GATEWAY, "service": "traefik-metrics"}},
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.3, (10, 0)),
        },
        {"service-label": "exported_service"},
    ),
    Case(
        "coalmine-otel-http",
        pods("otel-http", "k8s_pod_name", "k8s_namespace_name"),
        {
            "http-errors.events": (20, 5),
            "http-errors.total": (100, 100),
            "http-latency.buckets": Slower((100, 100), 0.01, (100, 0)),
        },
    ),
    Case(
        "coalmine-otel-http",
        pods("otel-http"),
        {
            "http-errors.events": (20, 5),
            "http-errors.total": (100, 100),
            "http-latency.buckets": Slower((100, 100), 0.01, (100, 0)),
        },
        {"otel-pod-label": "pod", "otel-namespace-label": "namespace"},
    ),
    Case(
        "coalmine-otel-grpc",
        {"otel-grpc/canary": {}, "otel-grpc/stable": {}},
        {
            "grpc-errors.events": (20, 5),
            "grpc-errors.total": (100, 100),
            "grpc-latency.buckets": Slower((100, 100), 0.01, (100, 0)),
        },
    ),
    Case(
        "coalmine-otel-grpc-milliseconds",
        {"otel-grpc-milliseconds/canary": {}, "otel-grpc-milliseconds/stable": {}},
        {
            "grpc-errors.events": (20, 5),
            "grpc-errors.total": (100, 100),
            "grpc-latency.buckets": Slower((100, 100), 0.01, (100, 0)),
        },
    ),
    Case(
        "coalmine-pod-resources",
        {"cadvisor/node": {"node": "n1"}, "kube-state-metrics/cluster": {"job": "kube-state-metrics"}},
        {
            "restarts.events": (3, 0),
            "oom-kills.events": (1, 0),
            "memory.query": (260 * 2**20, 201 * 2**20),
            "memory-growth.query": (260 * 2**20, 201 * 2**20),
        },
    ),
    Case(
        "coalmine-pod-resources",
        {
            "cadvisor/node": {"node": "n1"},
            "kube-state-metrics/cluster": {"namespace": "monitoring", "pod": "kube-state-metrics-0"},
        },
        {
            "restarts.events": (3, 0),
            "oom-kills.events": (1, 0),
            "memory.query": (260 * 2**20, 201 * 2**20),
            "memory-growth.query": (260 * 2**20, 201 * 2**20),
        },
        {"restarts-pod-label": "exported_pod", "restarts-namespace-label": "exported_namespace"},
    ),
    Case(
        "coalmine-pod-cpu",
        {"cadvisor/node": {"node": "n1"}, **pods("requests")},
        {"cpu.query": (6.75, 3.0), "cpu.load": (100, 50)},
        {"requests": "http_requests_total"},
    ),
    Case(
        "coalmine-pod-cpu",
        {"cadvisor/node": {"node": "n1"}, **pods("istio")},
        {"cpu.query": (6.75, 3.0), "cpu.load": (100, 500)},
        {"requests": "istio_requests_total", "requests-label": "reporter", "requests-value": "destination"},
    ),
    Case(
        "coalmine-pod-throttling",
        {"cadvisor/node": {"node": "n1"}},
        {"cpu-throttling.events": (50, 3), "cpu-throttling.total": (300, 300)},
    ),
    Case(
        "coalmine-jvm-micrometer",
        pods("jvm-micrometer"),
        {
            "heap-growth.query": (20320344, 3170112),
            "gc-pauses.query": (0.017, 0.013),
            "gc-pauses.load": (100, 100),
            "threads.query": (46, 6),
        },
    ),
    Case(
        "coalmine-jvm",
        {**pods("jvm"), **pods("requests")},
        {
            "heap-growth.query": (20320344, 3170112),
            "gc-pauses.query": (0.018, 0.011),
            "gc-pauses.load": (100, 50),
            "threads.query": (46, 6),
        },
        {"requests": "http_requests_total"},
    ),
]


def relabelled(text: str, rules: Sequence[Mapping[str, Any]], target: Labels) -> str:
    """Return an exposition as Prometheus keeps it: labels of the target win, and then metricRelabelings are applied."""
    lines = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line).groups()  # type: ignore[union-attr]
        own = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
        kept = {f"exported_{key}" if key in target else key: text for key, text in own.items()} | target
        for rule in rules:
            joined = rule.get("separator", ";").join(kept.get(source, "") for source in rule["sourceLabels"])
            match = re.fullmatch(rule["regex"], joined)
            if match:
                kept[rule["targetLabel"]] = match.expand(rule["replacement"].replace("$", "\\"))
        written = ",".join(f'{key}="{text}"' for key, text in kept.items())
        lines.append(f"{name}{{{written}}} {value}")
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def metrics_store(case: Case, folder: Path, relabelings: str) -> AsyncIterator[str]:
    store = Store(folder)
    for moment, number in ((FIRST, 0), (SECOND, 1)):
        for name, target in case.scraped.items():
            text = (TEXTS / f"{name}.{number}.txt").read_text()
            assert store.take(int(moment * 1000), {}, relabelled(text, yaml.safe_load(relabelings) or [], target))
    runner = web.AppRunner(make_app(store))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        store.close()


def run_of(spec: AnalysisTemplateSpec, name: str, args: Mapping[str, str]) -> AnalysisRunSpec:
    reference = TemplateRef(template_name=name, cluster_scope=True)
    return build_run(
        RolloutAnalysisBackground(templates=(reference,)),
        lambda _ref: spec,
        args=[Argument(name=key, value=value) for key, value in args.items()],
        arms=ARMS,
    )


def selectors(metric: Metric) -> dict[str, str]:
    """Return a comparison's selectors by the names of their fields."""
    comparison = msgspec.to_builtins(metric.comparison)
    family = next(comparison[name] for name in ("counts", "histogram", "gauge") if name in comparison)
    return {key: family[key] for key in ("events", "total", "buckets", "query", "load") if key in family}


async def both_arms(
    provider: PrometheusProvider, metric: Metric, selector: str
) -> tuple[tuple[RawSeries, ...], tuple[RawSeries, ...]]:
    """Ask as a run does: one query for both arms, told apart by pods, or one query an arm."""
    assert metric.comparison is not None
    arms = metric.comparison.arms
    sides = []
    for name, arm in (("canary", ARMS.canary), ("stable", ARMS.stable)):
        asked = arm if arms.by == "Query" else None
        filled = fill_selector(selector, ARMS, "selector", namespace=NAMESPACE, arm=asked, arm_name=name)
        found = await provider.samples(metric, filled, FIRST - 60, SECOND)
        label = arms.pod_label or "pod"
        sides.append(found if asked else tuple(s for s in found if re.fullmatch(arm.pods, s.label(label))))
    return sides[0], sides[1]


def gained(series: Sequence[RawSeries]) -> float:
    """Return the increase between both scrapes; a series that appears later began at 0."""
    return sum(float(s.values[-1] - (s.values[0] if s.times[0] == FIRST else 0.0)) for s in series)


def current(series: Sequence[RawSeries]) -> float:
    return sum(float(s.values[-1]) for s in series if s.times[-1] == SECOND)


def above(series: Sequence[RawSeries], bound_seconds: float, unit_seconds: float) -> Pair:
    """Return all requests of a classic histogram and those above a bound, which has to be one of its own."""
    at = {bound: [s for s in series if s.label("le") == bound] for bound in {s.label("le") for s in series}}
    below = [bound for bound in at if bound and float(bound) * unit_seconds == pytest.approx(bound_seconds)]
    assert below, f"no bucket ends at {bound_seconds} s; there are {sorted(at)}"
    return gained(at["+Inf"]), gained(at["+Inf"]) - gained(at[below[0]])


async def measured(case: Case, folder: Path) -> dict[str, Pair | Slower]:
    one = next(preset for preset in presets() if preset.name == case.preset)
    found: dict[str, Pair | Slower] = {}
    async with metrics_store(case, folder, one.relabelings) as address, aiohttp.ClientSession() as session:
        provider = PrometheusProvider(session)
        run = run_of(one.spec, one.name, {"prometheus": address, **case.args})
        for index, raw in enumerate(run.metrics):
            metric = fill_metric(raw, run_values(run.args), f"spec.metrics[{index}]")
            for role, selector in selectors(metric).items():
                arms = await both_arms(provider, metric, selector)
                key = f"{metric.name}.{role}"
                found[key] = read(metric, role, arms, case.expected.get(key))
    return found


def read(
    metric: Metric, role: str, arms: tuple[Sequence[RawSeries], Sequence[RawSeries]], expected: Pair | Slower | None
) -> Pair | Slower:
    assert metric.comparison is not None
    if metric.comparison.histogram is not None:
        assert isinstance(expected, Slower), f"{metric.name} is a histogram"
        unit = 1e-3 if metric.comparison.histogram.unit == "Milliseconds" else 1.0
        (all_canary, slow_canary), (all_stable, slow_stable) = (above(s, expected.bound_seconds, unit) for s in arms)
        return Slower((all_canary, all_stable), expected.bound_seconds, (slow_canary, slow_stable))
    gauge = metric.comparison.gauge
    number = current if gauge is not None and gauge.type != "Usage" else gained
    return number(arms[0]), number(arms[1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_preset_finds_both_arms_in_what_its_component_prints(case: Case, tmp_path: Path) -> None:
    found = asyncio.run(measured(case, tmp_path))
    assert found.keys() == case.expected.keys()
    for name, expected in case.expected.items():
        if isinstance(expected, Slower):
            assert found[name] == expected, name
        else:
            assert found[name] == pytest.approx(expected), name


def test_every_preset_is_tried() -> None:
    assert {case.preset for case in CASES} == {preset.name for preset in presets()}
