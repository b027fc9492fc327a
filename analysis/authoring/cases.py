"""The file of `coalmine analysis test`: a template, and cases with the verdict that is expected of each."""

from typing import Any, Literal

import msgspec

from analysis.durations import parse_duration
from analysis.errors import InvalidSpec
from analysis.model_base import Model
from analysis.percent import parse_percent

MAX_CASES = 200
MAX_SEEDS = 200
DURATION_MAX_SECONDS = 24 * 3600.0

Duration = str | int


class _Strict(Model, forbid_unknown_fields=True):
    """An unknown field is an error: nobody else would name it."""


class Weight(_Strict):
    """The canary's weight in percent from a moment on."""

    weight: int
    at: Duration = 0


class SeriesText(_Strict):
    """One series by promtool's notation, or a file with the JSON that Prometheus answered a range query with."""

    series: str = ""
    values: str = ""
    file: str = ""


class SimulatedStep(_Strict):
    """A weight that is held by some pods."""

    weight: int
    pods: int = 1
    duration: Duration = "10m"


class Simulated(_Strict):
    """A rollout that is drawn from a seed.

    `environment` is one of the simulator's, such as base, low or pod10; the other words change it.
    """

    environment: str = "base"
    rps: float | None = None
    error_rate: str | None = None
    latency: Duration | None = None
    latency_sigma: float | None = None
    stable_pods: int | None = None
    steps: tuple[SimulatedStep, ...] = (
        SimulatedStep(weight=5),
        SimulatedStep(weight=25, pods=3),
        SimulatedStep(weight=50, pods=5),
    )
    errors: float = 1.0
    slower: float = 1.0
    cpu: float = 1.0
    memory: float = 1.0
    tail_share: str = "0%"
    tail_slower: float = 1.0
    leak_megabytes_per_minute: float = 0.0
    restarts_per_pod_hour: float | None = None
    since: Duration = 0
    seed: int = 1
    seeds: int = 1


class Expected(_Strict):
    """What the judge has to say.

    `by` is the time until when; `share` how many of the seeds have to say it; `says` words of the explanation.
    """

    verdict: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    metric: str = ""
    by: Duration | None = None
    share: str = "100%"
    says: str = ""


class Case(_Strict):
    """One test: where the data come from, how the weight moves, and what is expected."""

    name: str
    expect: Expected
    simulate: Simulated | None = None
    series: tuple[SeriesText, ...] = ()
    weights: tuple[Weight, ...] = (Weight(at=0, weight=50),)
    duration: Duration | None = None
    args: dict[str, str] = {}


class TestFile(_Strict):
    """A file of cases.

    `template` is a file beside this one, or a preset's name; `start` when series of text begin, counted from the run's
    start, so that older pods are known before it.
    """

    __test__ = False  # Its name begins like those that pytest collects.

    template: str
    tests: tuple[Case, ...]
    name: str = ""
    args: dict[str, str] = {}
    budget: str = "1%"
    warm_up: str = "3m"
    namespace: str = "default"
    canary: str = "canary-[a-z0-9]+"
    stable: str = "stable-[a-z0-9]+"
    interval: Duration = "15s"
    start: Duration = "-1m"


def parse_cases(content: Any, path: str) -> TestFile:
    """Return the file's content as it was read from YAML; raises InvalidSpec naming the field."""
    try:
        file = msgspec.convert(content, TestFile)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        raise InvalidSpec(f"{path}: {place.rstrip('`') or 'file'}", problem, "see --help for the format") from error
    if not 1 <= len(file.tests) <= MAX_CASES:
        raise InvalidSpec(f"{path}: tests", f"{len(file.tests)} are given", f"write 1 to {MAX_CASES}")
    for index, case in enumerate(file.tests):
        _check(case, f"{path}: tests[{index}]")
    return file


def _check(case: Case, field: str) -> None:
    if (case.simulate is None) == (not case.series):
        raise InvalidSpec(field, "needs exactly one of simulate and series", "write where the data come from")
    for one in case.series:
        if bool(one.file) == bool(one.series):
            raise InvalidSpec(f"{field}.series", "needs a series with values, or a file", "write one of them")
    if case.simulate is not None and not 1 <= case.simulate.seeds <= MAX_SEEDS:
        raise InvalidSpec(f"{field}.simulate.seeds", f"must lie between 1 and {MAX_SEEDS}")
    percent(case.expect.share, f"{field}.expect.share")


def seconds(text: Duration, field: str, *, negative: bool = False) -> float:
    """Return a duration's seconds; raises InvalidSpec naming the field."""
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise InvalidSpec(field, str(error)) from error
    if abs(value) > DURATION_MAX_SECONDS or (value < 0 and not negative):
        raise InvalidSpec(field, f"{text!r} is out of range", "write a duration of up to 24h")
    return value


def percent(text: str, field: str) -> float:
    """Return a percentage as a ratio; raises InvalidSpec naming the field."""
    try:
        return parse_percent(text)
    except ValueError as error:
        raise InvalidSpec(field, str(error)) from error
