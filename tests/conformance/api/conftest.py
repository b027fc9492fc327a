"""Every test of this folder runs on the embedded API server and on real ones."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml

from tests.cluster.binaries import CHOSEN
from tests.conformance.client import Api
from tests.conformance.real_server import real_server
from tests.support.api_process import embedded_server

WIDGETS = Path(__file__).parent / "widgets.yaml"
_NUMBERS = count(1)


EMBEDDED = "embedded"
FLAVOURS = (EMBEDDED, *CHOSEN)


@pytest.fixture(scope="session", params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def api(flavour: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp(flavour)
    if flavour != EMBEDDED:
        with real_server(flavour, folder) as running:
            yield _prepared(Api(running.url, running.token, running.ca_pem))
    else:
        with embedded_server(folder, "--bookmark-seconds", "1", "--window", "500") as running:
            yield _prepared(Api(running.url, running.token, running.ca_pem))


def _prepared(api: Api) -> Api:
    """Serve the sample kind."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = yaml.safe_load(WIDGETS.read_text())
    assert api.post(path, definition).status == 201
    served = api.eventually("/apis/lab.coalmine.dev/v1/widgets", lambda reply: reply.status == 200)
    assert served.status == 200
    return api


@pytest.fixture
def ns(api: Api) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_NUMBERS)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert api.post("/api/v1/namespaces", body).status == 201
    return name


@pytest.fixture
def widgets(ns: str) -> str:
    """The path of the sample kind in that namespace."""
    return f"/apis/lab.coalmine.dev/v1/namespaces/{ns}/widgets"
