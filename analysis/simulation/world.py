"""What surrounds a simulated release (a World), and what is wrong with it (a Fault)."""

from dataclasses import dataclass, field, replace

REFERENCE_SECONDS = 30.0
"""Correlations are given from one such window to the next."""
DEFAULT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds of Prometheus client libraries, seconds."""


@dataclass(frozen=True)
class Variation:
    """How the logarithm of a metric varies.

    Attributes:
        pod_sd: between pods, for good.
        window_sd: of a pod, from window to window.
        correlation: of a pod between two windows 30 s apart.
    """

    pod_sd: float
    window_sd: float
    correlation: float


@dataclass(frozen=True)
class Outage:
    """A dependency of both arms is ill for a while; factors on the error rate and on latency."""

    from_seconds: float
    seconds: float
    errors: float
    latency: float


@dataclass(frozen=True)
class Endpoint:
    """Some of the requests cost more; canary and stable may get different shares of them."""

    stable_share: float = 0.0
    canary_share: float = 0.0
    latency: float = 1.0
    errors: float = 1.0
    cpu: float = 1.0


@dataclass(frozen=True)
class HotPod:
    """One stable pod holds a shard that everybody wants: factors on its load, latency and error rate."""

    load: float = 1.0
    latency: float = 1.0
    errors: float = 1.0


@dataclass(frozen=True)
class Retries:
    """A failed request is sent again to the same arm at once, up to `attempts` times; it fails again with `fails`."""

    attempts: int = 0
    fails: float = 0.5


@dataclass(frozen=True)
class World:
    """A service without any fault. The default is the base environment that all targets refer to.

    Attributes:
        requests_per_second: of the whole service, on average over a day.
        peak: factor on traffic at the middle of the rollout; 1 without a peak.
        young_stable_pods: stable pods that start while the rollout runs.
        error_rate: share of requests that fail.
        latency_seconds: median.
        latency_sigma: standard deviation of the logarithm of a request's latency.
        load_elasticity: d ln(latency) / d ln(requests per second of a pod).
        latency_drift: what moves the latency of all pods together; `pod_sd` is not used.
        cpu_idle_cores: used without any request.
        cpu_per_request: core seconds.
        incidents_per_hour: short troubles of all pods: errors x4 to x15, latency +10 to +65 %, one to three minutes.
        warm_up_seconds: a new process begins with three times the errors, +65 % latency and +80 % CPU, and loses
            that by a factor e in this time.
        memory_warm_up_seconds: the same for the 40 % of its memory that a process has not allocated at its start.
        missed_scrapes: share of scrapes that do not arrive.
    """

    requests_per_second: float = 100.0
    stable_pods: int = 10
    peak: float = 1.0
    young_stable_pods: int = 0
    error_rate: float = 0.005
    errors: Variation = Variation(0.05, 0.4, 0.5)
    latency_seconds: float = 0.08
    latency_sigma: float = 0.7
    latency: Variation = Variation(0.02, 0.03, 0.5)
    latency_drift: Variation = Variation(0.0, 0.05, 0.9)
    load_elasticity: float = 0.05
    bounds: tuple[float, ...] = DEFAULT_BOUNDS
    cpu_idle_cores: float = 0.02
    cpu_per_request: float = 0.004
    cpu: Variation = Variation(0.02, 0.03, 0.6)
    memory_bytes: float = 300e6
    memory: Variation = Variation(0.02, 0.015, 0.9)
    incidents_per_hour: float = 1.05
    restarts_per_pod_hour: float = 1 / 30
    warm_up_seconds: float = 90.0
    memory_warm_up_seconds: float = 240.0
    missed_scrapes: float = 0.01
    endpoint: Endpoint = field(default_factory=Endpoint)
    hot_pod: HotPod = field(default_factory=HotPod)
    retries: Retries = field(default_factory=Retries)
    outage: Outage | None = None

    def on_an_ordinary_day(self) -> "World":
        """Return the world as its history shows it: without the peak, the outage and the new stable pods."""
        return replace(self, peak=1.0, outage=None, young_stable_pods=0)


@dataclass(frozen=True)
class Fault:
    """What the new version does worse, as factors; the default is a healthy release.

    Attributes:
        tail_share: share of requests that become slower by `tail_factor`.
        leak_bytes_per_minute: that a process never gives back.
        restarts_per_pod_hour: of canary pods; None leaves the world's.
        poison_errors: the canary hurts a dependency of both arms: error rates of both are multiplied by
            1 + this * the canary's share of traffic.
        from_seconds: the fault shows from then on, counted from the start of the rollout.
    """

    errors: float = 1.0
    latency: float = 1.0
    cpu: float = 1.0
    memory: float = 1.0
    tail_share: float = 0.0
    tail_factor: float = 1.0
    leak_bytes_per_minute: float = 0.0
    restarts_per_pod_hour: float | None = None
    poison_errors: float = 0.0
    from_seconds: float = 0.0

    @property
    def healthy(self) -> bool:
        """Whether the new version is as good as the old one."""
        return replace(self, from_seconds=0.0) == Fault()
