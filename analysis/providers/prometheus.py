"""Prometheus, or anything with its HTTP API. aiohttp only: the synchronous prometheus-api-client is for notebooks.

Comparisons ask for a range vector by an instant query, which gives raw samples with their scrape times;
rate() and increase() would extrapolate, and drop everything before a new pod's first scrape.
"""

import asyncio
import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
import numpy as np

from analysis.bodies import BodyTooLarge, read_body
from analysis.errors import InvalidSpec, MeasurementError
from analysis.expr.nodes import Value
from analysis.provider_spec import PrometheusMetric
from analysis.providers.native import BOUNDS, NativeHistogram, bucket_series
from analysis.series.raw import RawSeries, labels_of
from analysis.series.roster import MAX_SERIES
from analysis.series.samples import MAX_SAMPLES
from analysis.spec import Metric

DEFAULT_TIMEOUT_SECONDS = 30
MAX_TIMEOUT_SECONDS = 300
# A run asks four queries at a time, and a broken store must not fill our memory: this is a million samples.
MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_HISTOGRAMS = MAX_SAMPLES // (BOUNDS.size + 1)
"""A few bytes of a native histogram become a row of sixty numbers."""
_SHOWN_ERROR = 300

Shape = TypeVar("Shape")

AddressAllowed = Callable[[str], bool]
"""Whether the operator may talk to an address; the tenancy's allow-list."""


class _Answer(msgspec.Struct):
    status: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _VectorItem(msgspec.Struct):
    value: tuple[float, str] | None = None


class _MatrixItem(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    histograms: list[tuple[float, NativeHistogram]] = []


@dataclass(frozen=True)
class PrometheusProvider:
    """Measures metrics with `provider.prometheus`.

    Args:
        session: owned by the caller; its default headers are sent too.
        allowed: refuses addresses; everything is allowed by default.
        max_body_bytes: a longer answer is an error.
    """

    session: aiohttp.ClientSession
    allowed: AddressAllowed = lambda _address: True
    max_body_bytes: int = MAX_BODY_BYTES

    async def measure(self, metric: Metric, now: float) -> Value:
        """Return a float of a scalar, a list of floats of a vector, in Argo's shapes."""
        spec = _prometheus(metric)
        data = _answer(*await self._query(spec, spec.query, now))
        match data.result_type:
            case "scalar":
                return _number(_decoded(data.result, tuple[float, str])[1])
            case "vector":
                return [_instant(item) for item in _decoded(data.result, list[_VectorItem])]
            case "matrix":
                series = _decoded(data.result, list[_MatrixItem])
                return [_number(text) for one in series for _, text in one.values]
            case other:
                raise MeasurementError(f"Prometheus answered with a {other[:20]!r}; write a query that gives numbers")

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        """Return the raw samples of a vector selector in (start, end]."""
        span_ms = max(math.ceil((end - start) * 1000), 1)
        status, body = await self._query(_prometheus(metric), f"{selector.strip()}[{span_ms}ms]", end)
        # It may take seconds, in which the operator has to renew its Lease.
        return await asyncio.to_thread(lambda: _matrix(_answer(status, body)))

    async def _query(self, spec: PrometheusMetric, query: str, at: float) -> tuple[int, bytes]:
        url = _url(spec.address)
        if not self.allowed(spec.address):
            raise InvalidSpec(
                "provider.prometheus.address",
                f"{urlsplit(url).hostname} is not allowed here",
                "ask whoever runs the operator to allow it",
            )
        seconds = min(spec.timeout or DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS)
        form = {"query": query, "time": f"{at:.3f}", "timeout": f"{seconds}s"}
        return await self._post(spec, url, form, seconds)

    async def _post(self, spec: PrometheusMetric, url: str, form: dict[str, str], seconds: int) -> tuple[int, bytes]:
        try:
            async with self.session.post(
                url,
                data=form,
                headers=_headers(spec),
                timeout=aiohttp.ClientTimeout(total=seconds),
                # A redirect would carry credentials to an address that nobody allowed.
                allow_redirects=False,
                ssl=not spec.insecure,
            ) as response:
                return response.status, await read_body(response, self.max_body_bytes)
        except BodyTooLarge as error:
            raise MeasurementError(f"Prometheus: {error}; select fewer series") from error
        except TimeoutError as error:
            raise MeasurementError(f"Prometheus did not answer within {seconds} s") from error
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError, ValueError) as error:
            # Texts of vendors may carry the URL with its credentials; the kind of error says enough.
            raise MeasurementError(f"cannot query Prometheus: {type(error).__name__}") from None


def recorded_matrix(body: bytes) -> tuple[RawSeries, ...]:
    """Return the series of an answer that somebody kept; raises MeasurementError where it is no matrix."""
    return _matrix(_answer(200, body))


def _matrix(data: _Data) -> tuple[RawSeries, ...]:
    if data.result_type != "matrix":
        raise MeasurementError(f"Prometheus answered a range with a {data.result_type[:20]!r}")
    # One series at a time, so that a large answer is never there as objects as a whole.
    items = _decoded(data.result, list[msgspec.Raw])
    found: list[RawSeries] = []
    histograms = 0
    for raw in items:
        item = _decoded(raw, _MatrixItem)
        histograms += len(item.histograms)
        if histograms > MAX_HISTOGRAMS:
            raise MeasurementError(
                f"Prometheus answered with more than {MAX_HISTOGRAMS} histograms; select fewer series"
            )
        found += _series(item)
        if len(found) > MAX_SERIES:
            raise MeasurementError(f"Prometheus answered with more than {MAX_SERIES} series; select fewer series")
    return tuple(found)


def _prometheus(metric: Metric) -> PrometheusMetric:
    if metric.provider.prometheus is None:
        raise MeasurementError(f'metric "{metric.name}" is not measured by Prometheus')
    return metric.provider.prometheus


def _url(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise InvalidSpec(
            "provider.prometheus.address",
            "is no URL of http or https without credentials",
            "write it like http://prometheus.monitoring:9090; credentials belong under authentication",
        )
    return address.rstrip("/") + "/api/v1/query"


def _headers(spec: PrometheusMetric) -> dict[str, str]:
    headers = {header.key: header.value for header in spec.headers}
    basic = spec.authentication.basic_auth if spec.authentication is not None else None
    if basic is not None:
        token = base64.b64encode(f"{basic.username}:{basic.password}".encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    return headers


def _answer(status: int, body: bytes) -> _Data:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MeasurementError(f"Prometheus answered {status} with something that is not its JSON") from error
    if answer.status != "success" or status >= 300:
        raise MeasurementError(f"Prometheus answered {status}: {answer.error[:_SHOWN_ERROR] or answer.status[:50]}")
    return _decoded(answer.data, _Data)


def _decoded(raw: msgspec.Raw, kind: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MeasurementError(f"Prometheus answered in an unknown shape: {error}") from error


def _number(text: str) -> float:
    """Return a sample's value; Prometheus writes NaN, +Inf and -Inf as text."""
    try:
        return float(text)
    except ValueError as error:
        raise MeasurementError(f"Prometheus answered with the value {text[:40]!r}, which is no number") from error


def _instant(item: _VectorItem) -> float:
    if item.value is None:
        raise MeasurementError(
            "Prometheus answered with a native histogram; write a query that gives numbers, such as histogram_quantile"
        )
    return _number(item.value[1])


def _series(item: _MatrixItem) -> tuple[RawSeries, ...]:
    """Return the series of an item; a native histogram is one a bound."""
    native = bucket_series(item.metric, item.histograms, _number) if item.histograms else ()
    if not item.values:
        return native
    times = np.asarray([moment for moment, _ in item.values], dtype=np.float64)
    values = np.asarray([_number(text) for _, text in item.values], dtype=np.float64)
    return (*native, RawSeries(labels_of(item.metric), times, values))
