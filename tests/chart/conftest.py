"""Each way of installing is rendered once: the CRDs make it a second of work."""

from functools import cache

import pytest

from tests.chart.rendering import CASES, Release, render


@cache
def rendered(case: str) -> Release:
    return render(CASES[case])


@pytest.fixture(params=CASES)
def release(request: pytest.FixtureRequest) -> Release:
    return rendered(request.param)


@pytest.fixture
def default() -> Release:
    return rendered("default")


@pytest.fixture
def everything() -> Release:
    return rendered("everything")


@pytest.fixture
def namespaced() -> Release:
    return rendered("namespaced")


@pytest.fixture
def bare() -> Release:
    return rendered("bare")
