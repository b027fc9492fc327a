"""Environments and faults by name. An environment without a fault is a healthy release: no rollback is right."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from analysis.errors import InvalidSpec
from analysis.simulation.world import Endpoint, Fault, HotPod, Outage, Retries, Variation, World

_BASE = World()


def _pods_differ(factor: float) -> World:
    """Pods differ by `factor` in latency, CPU and memory, and three times as much in errors."""
    return replace(
        _BASE,
        errors=replace(_BASE.errors, pod_sd=3 * factor),
        latency=replace(_BASE.latency, pod_sd=factor),
        cpu=replace(_BASE.cpu, pod_sd=factor),
        memory=replace(_BASE.memory, pod_sd=factor),
    )


ENVIRONMENTS: Mapping[str, World] = MappingProxyType(
    {
        "base": _BASE,
        "low": replace(_BASE, requests_per_second=5.0),
        "hi": replace(_BASE, requests_per_second=1000.0),
        "clean": replace(_BASE, error_rate=0.001),
        "pod5": _pods_differ(0.05),
        "pod10": _pods_differ(0.10),
        "ar9": replace(
            _BASE,
            errors=replace(_BASE.errors, correlation=0.9),
            latency=replace(_BASE.latency, correlation=0.9),
            cpu=replace(_BASE.cpu, correlation=0.9),
            memory=replace(_BASE.memory, correlation=0.95),
        ),
        "od": replace(_BASE, errors=Variation(0.05, 0.9, 0.5)),
        "inc": replace(_BASE, incidents_per_hour=4.5),
        "slow_start": replace(_BASE, warm_up_seconds=240.0, young_stable_pods=2),
        "retries": replace(_BASE, retries=Retries(attempts=3), incidents_per_hour=4.5),
        "outage": replace(_BASE, outage=Outage(from_seconds=900.0, seconds=900.0, errors=8.0, latency=1.4)),
        "mix": replace(_BASE, endpoint=Endpoint(0.10, 0.12, latency=3.0, errors=2.0, cpu=2.0)),
        "hot_shard": replace(_BASE, hot_pod=HotPod(load=3.0, latency=1.5, errors=1.5)),
        "peak": replace(_BASE, peak=3.0),
    }
)
"""In pod5 and pod10 pods differ by 5 and 10 %, in errors by three times that; ar9, od and inc vary the noise."""

HEALTHY = Fault()

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "healthy": HEALTHY,
        "err_x1.5": Fault(errors=1.5),
        "err_x2": Fault(errors=2.0),
        "err_x5": Fault(errors=5.0),
        "lat_+10%": Fault(latency=1.10),
        "lat_+25%": Fault(latency=1.25),
        "lat_+100%": Fault(latency=2.0),
        "tail_3%x4": Fault(tail_share=0.03, tail_factor=4.0),
        "leak_3MB/min": Fault(leak_bytes_per_minute=3e6),
        "cpu_+10%": Fault(cpu=1.10),
        "cpu_+30%": Fault(cpu=1.30),
        "subtle_multi": Fault(errors=1.3, latency=1.06, cpu=1.10, memory=1.06),
        "late_err_x3": Fault(errors=3.0, from_seconds=1200.0),
        "crashloop": Fault(restarts_per_pod_hour=6.0),
        "poison": Fault(poison_errors=20.0),
    }
)


@dataclass(frozen=True)
class Scenario:
    """An environment with a fault, such as `base:err_x2`."""

    name: str
    world: World
    fault: Fault

    @property
    def healthy(self) -> bool:
        """Whether a rollback would be false."""
        return self.fault.healthy


def scenario(name: str) -> Scenario:
    """Return the scenario `environment:fault`; raises InvalidSpec for names that do not exist."""
    environment, _, fault = name.partition(":")
    fault = fault or "healthy"
    if environment not in ENVIRONMENTS:
        raise InvalidSpec("scenario", f"no environment {environment!r}", f"one of {', '.join(ENVIRONMENTS)}")
    if fault not in FAULTS:
        raise InvalidSpec("scenario", f"no fault {fault!r}", f"one of {', '.join(FAULTS)}")
    return Scenario(f"{environment}:{fault}", ENVIRONMENTS[environment], FAULTS[fault])
