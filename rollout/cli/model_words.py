"""FailureModels in words: what was learned, what changed, and what a certificate says."""

import math
from collections.abc import Iterator, Sequence

from analysis.failure_model_spec import Certificate, FailureModelSpec, ModelMetric, ModelNoise
from analysis.model.lifecycle import breaks, keeps
from analysis.phrases import counted

_SAME = 1.25
"""Variances closer than this factor are called alike: history of three days does not know them better."""


def learned(spec: FailureModelSpec) -> list[str]:
    """One line a metric."""
    lines = [f"learned from {counted(spec.training.segments, 'piece')} of history:"]
    for metric in spec.metrics:
        young = f"; pods are young for {metric.warm_up}" if metric.warm_up else ""
        lines.append(f"  {metric.name}: {_noise(metric.noise)}{_load(metric)}{young}")
        tails = zip(metric.tails, metric.tail_noise, strict=False)
        lines += [f"    slower than {bound}: {_noise(noise)}" for bound, noise in tails]
    return lines


def _noise(noise: ModelNoise) -> str:
    return f"a pod varies by {_spread(noise.omega_squared)} a window, pods differ by {_spread(noise.tau_squared)}"


def _load(metric: ModelMetric) -> str:
    if metric.usage is not None:
        usage = metric.usage
        return f"; a pod uses {usage.per_pod_second} a second, and {usage.per_load_unit} for each unit of load"
    if metric.load_elasticity is not None and abs(float(metric.load_elasticity.value)) >= 0.02:
        return f"; at twice the load it changes by {math.expm1(math.log(2) * float(metric.load_elasticity.value)):+.1%}"
    return ""


def _spread(variance: str) -> str:
    return f"{math.expm1(math.sqrt(max(float(variance), 0.0))):.1%}"


def certificate_words(found: Certificate, drift: str) -> Sequence[str]:
    """What a certificate says, and what follows from it."""
    held = found.held_out
    played = f"{counted(found.placebos, 'placebo')} of {counted(held.segments, 'piece')}"
    bound = f"with 95 % confidence at most {found.false_rollback_upper_bound} of healthy releases are"
    lines = [
        f"{played} of history, {held.from_} to {held.to}:",
        f"  {found.false_rollbacks} rolled back; {bound} (budget {found.budget})",
        *(_detection(fault.fault, fault.found, fault.median_time) for fault in found.detects),
    ]
    if drift:
        return [*lines, f"DEGRADED: {drift}"]
    if breaks(found):
        return [*lines, "DEGRADED: more healthy releases are rolled back than the budget allows"]
    if keeps(found):
        return [*lines, "certified: the budget is kept"]
    return [*lines, "not certified: nothing is wrong, but so little history cannot show that the budget is kept"]


def _detection(fault: str, found: str, median: str) -> str:
    return f"  {fault}: found in {found} of releases" + (f", half of them within {median}" if median else "")


def differences(old: FailureModelSpec, new: FailureModelSpec) -> list[str]:
    """What changed, in words; empty where nothing did."""
    return [*_settings(old, new), *_metrics(old, new)]


def _settings(old: FailureModelSpec, new: FailureModelSpec) -> Iterator[str]:
    for words, before, after in (
        ("Rollout", old.rollout_ref.name, new.rollout_ref.name),
        ("window", old.window, new.window),
        ("mode", old.mode, new.mode),
        ("valid until", old.valid_until, new.valid_until),
        ("learned from data", old.training.data_digest[:19], new.training.data_digest[:19]),
        ("pieces of history", str(old.training.segments), str(new.training.segments)),
        ("history until", old.training.to, new.training.to),
        ("sentinel", _sentinel(old), _sentinel(new)),
        ("99 % quantile of placebos", _quantile(old), _quantile(new)),
    ):
        if before != after:
            yield f"{words}: {before or 'nothing'} -> {after or 'nothing'}"


def _sentinel(spec: FailureModelSpec) -> str:
    return f"{spec.sentinel.type}, {spec.sentinel.on_anomaly}" if spec.sentinel else ""


def _quantile(spec: FailureModelSpec) -> str:
    placebos = spec.calibration.placebos if spec.calibration else None
    return placebos.quantile99 if placebos else ""


def _metrics(old: FailureModelSpec, new: FailureModelSpec) -> Iterator[str]:
    before = {metric.name: metric for metric in old.metrics}
    after = {metric.name: metric for metric in new.metrics}
    for name in sorted({*before, *after}):
        if name not in after:
            yield f"{name}: no longer known, the priors hold"
        elif name not in before:
            yield f"{name}: known now ({_noise(after[name].noise)})"
        else:
            yield from _metric(before[name], after[name])


def _metric(old: ModelMetric, new: ModelMetric) -> Iterator[str]:
    if old.query_digest != new.query_digest:
        yield f"{new.name}: learned from another query"
    yield from _changed(new.name, old.noise, new.noise)
    if old.tails != new.tails:
        yield f"{new.name}: tails {', '.join(old.tails) or 'none'} -> {', '.join(new.tails) or 'none'}"
    tails = dict(zip(old.tails, old.tail_noise, strict=False))
    for bound, noise in zip(new.tails, new.tail_noise, strict=False):
        if bound in tails:
            yield from _changed(f"{new.name} slower than {bound}", tails[bound], noise)
    if old.warm_up != new.warm_up:
        yield f"{new.name}: pods are young for {old.warm_up or 'the usual time'} -> {new.warm_up or 'the usual time'}"


def _changed(name: str, old: ModelNoise, new: ModelNoise) -> Iterator[str]:
    for words, before, after in (
        ("a pod varies a window by", old.omega_squared, new.omega_squared),
        ("pods differ by", old.tau_squared, new.tau_squared),
    ):
        low, high = sorted((max(float(before), 1e-12), max(float(after), 1e-12)))
        if high / low > _SAME:
            yield f"{name}: {words} {_spread(before)} -> {_spread(after)}"
