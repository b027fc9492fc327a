"""Everything that is wrong with a FailureModel, with the field and a remedy. Types are checked before."""

import math
import re
from collections.abc import Callable, Iterator

from analysis.durations import parse_time
from analysis.errors import InvalidSpec, NotSupportedYet
from analysis.failure_model_spec import Calibration, FailureModelSpec, LoadElasticity, ModelMetric, ModelNoise, Sentinel
from analysis.limits import duration
from analysis.model.decimals import parse_decimal
from analysis.percent import parse_percent

METRICS_MAX = 64
TAILS_MAX = 8
ROLLOUTS_MAX = 10_000
# Far beyond every service that was measured: variances of a logarithm of 100 are factors of twenty thousand.
VARIANCE_MAX = 100.0
ELASTICITY_MAX = 10.0

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def validate_failure_model(spec: FailureModelSpec, field: str = "spec") -> tuple[InvalidSpec, ...]:
    """Return all problems of a model; empty where it is valid. Its sentinel's artefact is checked when it is read."""
    return tuple(_problems(spec, field))


def _problems(spec: FailureModelSpec, field: str) -> Iterator[InvalidSpec]:
    if not spec.rollout_ref.name:
        yield InvalidSpec(f"{field}.rolloutRef.name", "is empty", "name the Rollout that the model was learned from")
    yield from _tried(_longer_than_nothing, spec.window, f"{field}.window")
    if spec.valid_until:
        yield from _tried(_time, spec.valid_until, f"{field}.validUntil")
    if len(spec.metrics) > METRICS_MAX:
        yield InvalidSpec(f"{field}.metrics", f"has {len(spec.metrics)}", f"at most {METRICS_MAX} are used")
        return
    names = [metric.name for metric in spec.metrics]
    for index, metric in enumerate(spec.metrics):
        if metric.name in names[:index]:
            yield InvalidSpec(f"{field}.metrics[{index}].name", f"{metric.name[:64]!r} is there twice", "remove one")
        yield from _metric(metric, f"{field}.metrics[{index}]")
    if spec.calibration is not None:
        yield from _calibration(spec.calibration, f"{field}.calibration")
    if spec.sentinel is not None:
        yield from _sentinel(spec.sentinel, f"{field}.sentinel")


def _metric(metric: ModelMetric, field: str) -> Iterator[InvalidSpec]:
    if not metric.name:
        yield InvalidSpec(f"{field}.name", "is empty", "name the metric of the AnalysisTemplate")
    if not _DIGEST.fullmatch(metric.query_digest):
        yield InvalidSpec(f"{field}.queryDigest", "is no digest", "fit the model again, or write sha256:<64 digits>")
    yield from _noise(metric.noise, f"{field}.noise")
    yield from _elasticity(metric.load_elasticity, f"{field}.loadElasticity")
    yield from _tails(metric, field)
    if metric.usage is not None:
        yield from _decimal(metric.usage.per_pod_second, f"{field}.usage.perPodSecond", 0)
        yield from _decimal(metric.usage.per_load_unit, f"{field}.usage.perLoadUnit", 0)
    yield from _tried(duration, metric.warm_up, f"{field}.warmUp")


def _tails(metric: ModelMetric, field: str) -> Iterator[InvalidSpec]:
    if len(metric.tails) > TAILS_MAX:
        yield InvalidSpec(f"{field}.tails", f"has {len(metric.tails)}", f"at most {TAILS_MAX} are used")
    for index, tail in enumerate(metric.tails[:TAILS_MAX]):
        yield from _tried(_longer_than_nothing, tail, f"{field}.tails[{index}]")
    if len(metric.tail_noise) not in {0, len(metric.tails)}:
        problem = f"has {len(metric.tail_noise)}, but there are {len(metric.tails)} tails"
        yield InvalidSpec(f"{field}.tailNoise", problem, "write the noise of each tail, in the order of tails")
    for index, noise in enumerate(metric.tail_noise[:TAILS_MAX]):
        yield from _noise(noise, f"{field}.tailNoise[{index}]")
        yield from _elasticity(noise.load_elasticity, f"{field}.tailNoise[{index}].loadElasticity")


def _elasticity(elasticity: LoadElasticity | None, field: str) -> Iterator[InvalidSpec]:
    if elasticity is not None:
        yield from _decimal(elasticity.value, f"{field}.value", -ELASTICITY_MAX, ELASTICITY_MAX)
        yield from _decimal(elasticity.standard_error or "0", f"{field}.standardError", 0, ELASTICITY_MAX)


def _noise(noise: ModelNoise, field: str) -> Iterator[InvalidSpec]:
    for name, value, upper in (
        ("omegaSquared", noise.omega_squared, noise.omega_squared_upper),
        ("tauSquared", noise.tau_squared, noise.tau_squared_upper),
    ):
        problems = [*_decimal(value, f"{field}.{name}", 0, VARIANCE_MAX)]
        if upper:
            problems += _decimal(upper, f"{field}.{name}Upper", 0, VARIANCE_MAX)
        yield from problems
        if upper and not problems and float(upper) < float(value):
            yield InvalidSpec(f"{field}.{name}Upper", f"{upper} is below {name}", "fit the model again")


def _calibration(calibration: Calibration, field: str) -> Iterator[InvalidSpec]:
    rollouts = calibration.healthy_rollouts
    if len(rollouts) > ROLLOUTS_MAX:
        yield InvalidSpec(f"{field}.healthyRollouts", f"has {len(rollouts)}", f"keep the newest {ROLLOUTS_MAX}")
    for index, value in enumerate(rollouts[:ROLLOUTS_MAX]):
        yield from _decimal(value, f"{field}.healthyRollouts[{index}]")
    placebos = calibration.placebos
    if placebos is not None and placebos.count < 0:
        yield InvalidSpec(f"{field}.placebos.count", f"{placebos.count} is negative", "write how many there were")
    if placebos is not None and placebos.quantile99:
        yield from _decimal(placebos.quantile99, f"{field}.placebos.quantile99")


def _sentinel(sentinel: Sentinel, field: str) -> Iterator[InvalidSpec]:
    artifact = sentinel.artifact
    if (artifact.config_map_ref is None) == (not artifact.url):
        yield InvalidSpec(f"{field}.artifact", "must have one of configMapRef and url", "name where the JSON is, once")
    if artifact.url and not artifact.url.startswith("oci://"):
        yield InvalidSpec(f"{field}.artifact.url", "is in no registry", "write oci://<registry>/<repository>")
    elif artifact.url and artifact.config_map_ref is None:
        yield NotSupportedYet(f"{field}.artifact.url", "put the JSON into a ConfigMap, and name it in configMapRef")
    if not _DIGEST.fullmatch(artifact.digest):
        yield InvalidSpec(f"{field}.artifact.digest", "is no digest", "write the one that the export printed")
    if (sentinel.on_anomaly == "Fail") != (sentinel.budget is not None):
        yield InvalidSpec(f"{field}.budget", "belongs to onAnomaly: Fail, and that needs one", "write both or neither")
    if sentinel.budget is not None:
        yield from _tried(_share, sentinel.budget, f"{field}.budget")


def _decimal(text: str, field: str, least: float = -math.inf, most: float = math.inf) -> Iterator[InvalidSpec]:
    try:
        parse_decimal(text, field, least, most)
    except InvalidSpec as problem:
        yield problem


def _tried(parse: Callable[[str, str], object], text: str, field: str) -> Iterator[InvalidSpec]:
    try:
        parse(text, field)
    except InvalidSpec as problem:
        yield problem


def _longer_than_nothing(text: str, field: str) -> None:
    if not duration(text, field):
        raise InvalidSpec(field, f"{text[:64]!r} is no time", "write a duration such as 30s")


def _time(text: str, field: str) -> None:
    try:
        parse_time(text)
    except (ValueError, OverflowError) as error:
        raise InvalidSpec(field, str(error)[:200], "write RFC 3339, such as 2027-01-20T00:00:00Z") from error


def _share(text: str, field: str) -> None:
    try:
        ratio = parse_percent(text)
    except ValueError as error:
        raise InvalidSpec(field, str(error)) from error
    if not 0 < ratio < 1:
        raise InvalidSpec(field, f"{text} is out of bounds", "write a percentage between 0% and 100%")
