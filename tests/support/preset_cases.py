"""Presets, what is scraped for them, and what their selectors must give: from two scrapes of real exposition text."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from analysis.arguments import fill_metric, run_values
from analysis.background_spec import RolloutAnalysisBackground
from analysis.comparison_spec import ComparisonSettings
from analysis.presets.load import preset
from analysis.providers.base import SeriesProvider
from analysis.run_spec import AnalysisRunSpec, Arm, Arms
from analysis.selectors import selectors_of
from analysis.series.raw import RawSeries
from analysis.spec import Argument, Metric, TemplateRef
from analysis.template import build_run

TEXTS = Path(__file__).parents[1] / "golden" / "exposition"
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
    scraped: Sequence[tuple[str, Labels]]
    expected: Mapping[str, Pair | Slower]
    args: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "+".join([self.preset, self.scraped[0][0], self.scraped[-1][1].get("service", "")]).rstrip("+")


def pods(folder: str, pod_label: str = "pod", namespace_label: str = "namespace") -> list[tuple[str, Labels]]:
    """Scrape both pods themselves, as a PodMonitor does, and a pod of the canary's name in another namespace."""
    return [
        (f"{folder}/{arm}", {pod_label: pod, namespace_label: namespace, "instance": f"10.0.0.{number}:8080"})
        for number, (arm, pod, namespace) in enumerate(
            (("canary", CANARY_POD, NAMESPACE), ("stable", STABLE_POD, NAMESPACE), ("canary", CANARY_POD, "staging")), 1
        )
    ]


GATEWAY = {"namespace": "gateways", "pod": "gateway-0", "instance": "10.0.9.1:9000"}
NODE = ("cadvisor/node", {"node": "n1"})

CASES = [
    Case(
        "coalmine-istio-http",
        [*pods("istio"), *pods("istio-grpc")],
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
        "coalmine-istio-grpc",
        [*pods("istio"), *pods("istio-grpc")],
        {
            "grpc-errors.events": (20, 4),
            "grpc-errors.total": (100, 500),
            "grpc-latency.buckets": Slower((100, 500), 0.025, (70, 0)),
        },
    ),
    Case(
        "coalmine-istio-service-http",
        [("istio-waypoint/waypoint", GATEWAY)],
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.025, (70, 0)),
        },
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
        [("envoy/contour", GATEWAY)],
        {
            "http-errors.events": (10, 10),
            "http-errors.total": (50, 200),
            "http-latency.buckets": Slower((50, 200), 0.01, (50, 3)),
        },
    ),
    Case(
        "coalmine-envoy-http",
        [("envoy/plain", GATEWAY), ("envoy/plain", {**GATEWAY, "pod": "gateway-1", "instance": "10.0.9.2:9000"})],
        {
            "http-errors.events": (10, 10),
            "http-errors.total": (50, 200),
            "http-latency.buckets": Slower((50, 200), 0.01, (50, 0)),
        },
    ),
    Case(
        "coalmine-ingress-nginx-http",
        [("ingress-nginx/controller", {**GATEWAY, "service": "ingress-nginx-controller-metrics"})],
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.025, (70, 0)),
        },
    ),
    Case(
        "coalmine-traefik-http",
        [("traefik/crd", GATEWAY)],
        {
            "http-errors.events": (20, 4),
            "http-errors.total": (100, 500),
            "http-latency.buckets": Slower((100, 500), 0.1, (70, 96)),
        },
    ),
    Case(
        "coalmine-traefik-http",
        [("traefik/gateway", {**GATEWAY, "service": "traefik-metrics"})],
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
        [("otel-grpc/canary", {}), ("otel-grpc/stable", {}), ("otel-grpc/canary", {"k8s_namespace_name": "staging"})],
        {
            "grpc-errors.events": (20, 5),
            "grpc-errors.total": (100, 100),
            "grpc-latency.buckets": Slower((100, 100), 0.01, (100, 0)),
        },
    ),
    Case(
        "coalmine-otel-grpc-milliseconds",
        [
            ("otel-grpc-milliseconds/canary", {}),
            ("otel-grpc-milliseconds/stable", {}),
            ("otel-grpc-milliseconds/canary", {"k8s_namespace_name": "staging"}),
        ],
        {
            "grpc-errors.events": (20, 5),
            "grpc-errors.total": (100, 100),
            "grpc-latency.buckets": Slower((100, 100), 0.01, (100, 0)),
        },
    ),
    Case(
        "coalmine-pod-resources",
        [NODE, ("kube-state-metrics/cluster", {"job": "kube-state-metrics"})],
        {
            "restarts.events": (5, 0),
            "oom-kills.events": (1, 0),
            "memory.value": (260 * 2**20, 201 * 2**20),
            "memory-growth.value": (260 * 2**20, 201 * 2**20),
        },
    ),
    Case(
        "coalmine-pod-resources",
        [NODE, ("kube-state-metrics/cluster", {"namespace": "monitoring", "pod": "kube-state-metrics-0"})],
        {
            "restarts.events": (3, 0),
            "oom-kills.events": (1, 0),
            "memory.value": (260 * 2**20, 201 * 2**20),
            "memory-growth.value": (260 * 2**20, 201 * 2**20),
        },
        {
            "restarts-pod-label": "exported_pod",
            "restarts-namespace-label": "exported_namespace",
            "containers": "checkout",
        },
    ),
    Case(
        "coalmine-pod-cpu",
        [NODE, *pods("requests")],
        {"cpu.used": (6.75, 3.0), "cpu.load": (100, 50)},
        {"requests": "http_requests_total"},
    ),
    Case(
        "coalmine-pod-cpu",
        [NODE, *pods("istio")],
        {"cpu.used": (6.75, 3.0), "cpu.load": (100, 500)},
        {"requests": "istio_requests_total", "requests-label": "reporter", "requests-value": "destination"},
    ),
    Case(
        "coalmine-pod-throttling",
        [NODE],
        {"cpu-throttling.events": (50, 3), "cpu-throttling.total": (300, 300)},
    ),
    Case(
        "coalmine-jvm-micrometer",
        pods("jvm-micrometer"),
        {
            "heap-growth.value": (20320832, 3190056),
            "gc-pauses.used": (0.085, 0.044),
            "gc-pauses.load": (100, 100),
            "threads.value": (46, 6),
        },
    ),
    Case(
        "coalmine-jvm",
        [*pods("jvm"), *pods("requests")],
        {
            "heap-growth.value": (20320832, 3190056),
            "gc-pauses.used": (0.083, 0.043),
            "gc-pauses.load": (100, 50),
            "threads.value": (46, 6),
        },
        {"requests": "http_requests_total"},
    ),
]


@dataclass(frozen=True)
class Scrapes:
    """What was scraped in (start, end], epoch seconds; texts changed from the first to the second at `changed`."""

    start: float
    changed: float
    end: float

    def gained(self, series: Sequence[RawSeries]) -> float:
        """Return the increase from the first text to the second; a series that is only in the second began at 0."""
        return sum(float(s.values[-1] - (s.values[0] if s.times[0] < self.changed else 0.0)) for s in series)

    def current(self, series: Sequence[RawSeries]) -> float:
        """Return the sum of a gauge in the second text."""
        return sum(float(s.values[-1]) for s in series if s.times[-1] >= self.changed)


def run_of(case: Case, address: str, warm_up: str = "3m") -> AnalysisRunSpec:
    """Build the run as a Rollout would."""
    return build_run(
        RolloutAnalysisBackground(
            templates=(TemplateRef(template_name=case.preset, cluster_scope=True),),
            comparison=ComparisonSettings(warm_up=warm_up),
        ),
        lambda reference: preset(reference.template_name).spec,
        args=[Argument(name=key, value=value) for key, value in {"prometheus": address, **case.args}.items()],
        arms=ARMS,
    )


async def measured(case: Case, address: str, provider: SeriesProvider, scrapes: Scrapes) -> dict[str, Pair | Slower]:
    """Ask for every selector of a preset, and return the totals of both arms by `metric.role`."""
    found: dict[str, Pair | Slower] = {}
    run = run_of(case, address)
    for index, raw in enumerate(run.metrics):
        metric = fill_metric(raw, run_values(run.args), f"spec.metrics[{index}]")
        selectors = selectors_of(metric, ARMS, NAMESPACE)
        for role in dict.fromkeys(role for role, _ in selectors):
            key = f"{metric.name}.{role}"
            arms = await _both_arms(
                provider, metric, {s: text for (r, s), text in selectors.items() if r == role}, scrapes
            )
            found[key] = _read(metric, arms, case.expected.get(key), scrapes)
    return found


_BothArms = tuple[Sequence[RawSeries], Sequence[RawSeries]]


async def _both_arms(
    provider: SeriesProvider, metric: Metric, selectors: Mapping[str, str], scrapes: Scrapes
) -> _BothArms:
    """Ask for each side; where one query covers both, tell the arms apart by the names of their pods."""
    assert metric.comparison is not None
    found = {
        side: await provider.samples(metric, selector, scrapes.start, scrapes.end)
        for side, selector in selectors.items()
    }
    if "both" not in found:
        return found["canary"], found["stable"]
    label = metric.comparison.arms.pod_label or "pod"
    canary, stable = (
        tuple(s for s in found["both"] if re.fullmatch(arm.pods, s.label(label))) for arm in (ARMS.canary, ARMS.stable)
    )
    return canary, stable


def _read(metric: Metric, arms: _BothArms, expected: Pair | Slower | None, scrapes: Scrapes) -> Pair | Slower:
    assert metric.comparison is not None
    histogram, gauge = metric.comparison.histogram, metric.comparison.gauge
    if histogram is not None:
        assert isinstance(expected, Slower), f"{metric.name} is a histogram"
        unit = 1e-3 if histogram.unit == "Milliseconds" else 1.0
        canary, stable = (_above(side, expected.bound_seconds, unit, scrapes.gained) for side in arms)
        return Slower((canary[0], stable[0]), expected.bound_seconds, (canary[1], stable[1]))
    number = scrapes.current if gauge is not None and gauge.type != "Usage" else scrapes.gained
    return number(arms[0]), number(arms[1])


def _above(
    series: Sequence[RawSeries], bound_seconds: float, unit: float, gained: Callable[[Sequence[RawSeries]], float]
) -> Pair:
    """Return all requests of a classic histogram and those above a bound, which has to be one of its own."""
    at = {bound: [s for s in series if s.label("le") == bound] for bound in {s.label("le") for s in series}}
    below = [bound for bound in at if bound and float(bound) * unit == pytest.approx(bound_seconds)]
    assert below, f"no bucket ends at {bound_seconds} s; there are {sorted(at)}"
    return gained(at["+Inf"]), gained(at["+Inf"]) - gained(at[below[0]])


def assert_as_expected(case: Case, found: Mapping[str, Pair | Slower]) -> None:
    """Compare all that was found; nothing may be missing or unexpected."""
    assert found.keys() == case.expected.keys()
    for name, expected in case.expected.items():
        told = expected if isinstance(expected, Slower) else pytest.approx(expected)
        assert found[name] == told, f"{case.preset}: {name}"
