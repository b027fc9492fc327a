"""The Prometheus provider against a real HTTP server of ours, friendly and hostile."""

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import InvalidSpec, MeasurementError
from analysis.provider_spec import Authentication, BasicAuth, KeyValue, MetricProvider, PrometheusMetric
from analysis.providers.prometheus import PrometheusProvider, recorded_matrix
from analysis.rules import HistogramRule
from analysis.series.raw import RawSeries
from analysis.series.watched import Watch, WatchedMetric
from analysis.spec import Metric
from tests.support.watching import arm_of, rule

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SECRET = "hunter2"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """An HTTP server on a free port that answers every query by the handler."""
    app = web.Application()
    app.router.add_post("/api/v1/query", handler)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def success(kind: str, result: Any) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"resultType": kind, "result": result}})

    return answer


def metric(address: str, **more: Any) -> Metric:
    prometheus = PrometheusMetric(address=address, query="up", **more)
    return Metric(name="m", provider=MetricProvider(prometheus=prometheus))


async def ask(handler: Handler, *, max_body_bytes: int = 1 << 20, **more: Any) -> Any:
    async with serving(handler) as address, aiohttp.ClientSession() as session:
        provider = PrometheusProvider(session, max_body_bytes=max_body_bytes)
        return await provider.measure(metric(address, **more), 1_800_000_000.0)


def test_a_scalar_is_a_float_and_a_vector_a_list() -> None:
    assert asyncio.run(ask(success("scalar", [1.0, "2.5"]))) == 2.5
    vector = [{"metric": {}, "value": [1.0, "1"]}, {"metric": {}, "value": [1.0, "+Inf"]}]
    assert asyncio.run(ask(success("vector", vector))) == [1.0, math.inf]
    assert asyncio.run(ask(success("vector", []))) == []


def test_nan_arrives_as_text_and_stays_nan() -> None:
    value = asyncio.run(ask(success("vector", [{"metric": {}, "value": [1.0, "NaN"]}])))
    assert math.isnan(value[0])


def test_raw_samples_come_with_labels_and_scrape_times_by_a_range_of_milliseconds() -> None:
    asked: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        asked.update(await request.post())
        series = [{"metric": {"pod": "a", "__name__": "x"}, "values": [[10.5, "1"], [11.5, "4"]]}]
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": series}})

    async def fetch() -> Any:
        async with serving(answer) as address, aiohttp.ClientSession() as session:
            return await PrometheusProvider(session).samples(metric(address), 'x{a="b"} ', 8.0, 12.25)

    (series,) = asyncio.run(fetch())
    assert asked["query"] == 'x{a="b"}[4250ms]'
    assert asked["time"] == "12.250"
    assert series.label("pod") == "a"
    assert series.times.tolist() == [10.5, 11.5]
    assert series.values.tolist() == [1.0, 4.0]


async def half_a_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"status": "succ')
    assert request.transport is not None
    request.transport.abort()
    return response


async def huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        for _ in range(64):
            await response.write(b" " * 65536)
    except ConnectionError:
        pass
    return response


async def redirect(_request: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/elsewhere"})


async def broken(_request: web.Request) -> web.Response:
    return web.Response(status=500, text="<html>oops</html>")


async def refused(_request: web.Request) -> web.Response:
    return web.json_response({"status": "error", "errorType": "bad_data", "error": "parse error"}, status=400)


async def not_utf8(_request: web.Request) -> web.Response:
    return web.Response(body=b'{"status": "\xff\xfe"}')


async def nested(_request: web.Request) -> web.Response:
    return web.Response(text="[" * 5000)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (half_a_body, "cannot query Prometheus"),
        (huge, "more than 1048576 bytes"),
        (redirect, "answered 307"),
        (broken, "answered 500"),
        (refused, "parse error"),
        (not_utf8, "not its JSON"),
        (nested, "not its JSON"),
        (success("vector", {"metric": 1}), "unknown shape"),
        (success("vector", [{"metric": {}, "value": [1.0, "seven"]}]), "'seven'"),
        (success("string", [1.0, "x"]), "'string'"),
        (success("matrix", None), "unknown shape"),
    ],
)
def test_a_hostile_answer_is_an_error_with_a_clear_text(handler: Handler, words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        asyncio.run(ask(handler))


def test_a_server_that_never_answers_is_an_error_after_the_timeout() -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits so long")

    with pytest.raises(MeasurementError, match="within 1 s"):
        asyncio.run(ask(silent, timeout=1))


def test_credentials_and_headers_are_sent_and_never_shown() -> None:
    seen: dict[str, str] = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return web.Response(status=500)

    async def fetch() -> Any:
        return await ask(
            answer,
            authentication=Authentication(basic_auth=BasicAuth(username="u", password=SECRET)),
            headers=(KeyValue(key="X-Scope-OrgID", value="tenant"),),
        )

    with pytest.raises(MeasurementError) as error:
        asyncio.run(fetch())
    assert seen["X-Scope-OrgID"] == "tenant"
    assert base64.b64decode(seen["Authorization"].removeprefix("Basic ")) == f"u:{SECRET}".encode()
    assert SECRET not in str(error.value)
    assert SECRET not in repr(error.value.__cause__)


def test_an_address_outside_the_allow_list_is_refused_without_a_request() -> None:
    async def fetch() -> Any:
        async with aiohttp.ClientSession() as session:
            provider = PrometheusProvider(session, allowed=lambda address: address.startswith("https://ok"))
            return await provider.measure(metric("http://127.0.0.1:1"), 0.0)

    with pytest.raises(InvalidSpec, match="not allowed"):
        asyncio.run(fetch())


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://user:pw@host", "prometheus:9090", "http://"])
def test_an_address_that_is_no_plain_url_is_refused(address: str) -> None:
    async def fetch() -> Any:
        async with aiohttp.ClientSession() as session:
            return await PrometheusProvider(session).measure(metric(address), 0.0)

    with pytest.raises(InvalidSpec) as error:
        asyncio.run(fetch())
    assert "pw" not in json.dumps(str(error.value))


def test_nobody_listening_is_an_error() -> None:
    async def fetch() -> Any:
        async with aiohttp.ClientSession() as session:
            return await PrometheusProvider(session).measure(metric("http://127.0.0.1:1"), 0.0)

    with pytest.raises(MeasurementError, match="cannot query Prometheus"):
        asyncio.run(fetch())


NATIVE = {"count": "6", "sum": "1.5", "buckets": [[0, "0.25", "0.3535533905932738", "2"], [0, "0.5", "1", "4"]]}


def raw(handler: Handler, *, max_body_bytes: int = 1 << 20) -> tuple[RawSeries, ...]:
    async def fetch() -> tuple[RawSeries, ...]:
        async with serving(handler) as address, aiohttp.ClientSession() as session:
            provider = PrometheusProvider(session, max_body_bytes=max_body_bytes)
            return await provider.samples(metric(address), "x", 0.0, 60.0)

    return asyncio.run(fetch())


def test_native_histograms_of_a_range_are_buckets_beside_plain_samples() -> None:
    item = {"metric": {"pod": "a"}, "values": [[10.0, "1"]], "histograms": [[11.0, NATIVE], [21.0, NATIVE]]}
    found = {one.label("le"): one for one in raw(success("matrix", [item]))}
    assert found[""].values.tolist() == [1.0]
    assert [found[bound].values.tolist() for bound in ("0.25", "1", "+Inf")] == [[0.0, 0.0], [6.0, 6.0], [6.0, 6.0]]
    assert found["1"].times.tolist() == [11.0, 21.0]
    assert {one.label("pod") for one in found.values()} == {"a"}


def test_a_native_histogram_is_no_value_of_an_ordinary_metric() -> None:
    vector = [{"metric": {}, "histogram": [1.0, NATIVE]}]
    with pytest.raises(MeasurementError, match="histogram_quantile"):
        asyncio.run(ask(success("vector", vector)))


def test_an_answer_without_an_end_is_read_no_further_than_its_bound() -> None:
    with pytest.raises(MeasurementError, match="more than 1048576 bytes; select fewer series"):
        raw(huge)


def body(content: bytes) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type="application/json")

    return answer


VALID = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                {"metric": {"pod": "a", "le": "1"}, "values": [[10.5, "1"], [11.5, "NaN"], [12.5, "+Inf"]]},
                {"metric": {"pod": "b"}, "histograms": [[10.5, NATIVE]]},
            ],
        },
    }
).encode()
PIECES = [b"null", b"[]", b"{}", b'"x"', b"1e999", b"-1", b'"\\ud800"', b"[[", b"]]", b"\xff", b'"NaN"', b"true", b"0"]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid answer with some of its bytes replaced, left out or doubled."""
    answer = VALID
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(answer) - 1))
        end = min(start + draw(st.integers(0, 12)), len(answer))
        answer = answer[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=6)) + answer[end:]
    return answer


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | mutated())
def test_whatever_bytes_arrive_they_are_series_or_an_error_of_ours(content: bytes) -> None:
    """The same reading as of an answer by HTTP, without the socket."""
    metric_ = WatchedMetric(rule(HistogramRule(), 10.0), 0.0, arm_of)
    try:
        found = recorded_matrix(content)
        metric_.add("buckets", "both", found, 60.0)
    except MeasurementError:
        return
    assert all(one.times.shape == one.values.shape for one in found)
    assert metric_.data(0, Watch(60.0, None, 0.0, {})).table.windows <= 6
