"""A connection to a real API server leaves nothing open, in whichever moment it is closed."""

import asyncio
from collections.abc import Iterator

import pytest

from rollout.kube.connection import Connection
from tests.support.api_process import Running, embedded_server

ROUNDS_MAX, AT_ONCE = 60, 5


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with embedded_server(tmp_path_factory.mktemp("api")) as running:
        yield running


def test_connections_that_are_being_made_at_the_end_are_closed(api: Running) -> None:
    async def story(rounds: int) -> tuple[int, int]:
        connection = Connection(str(api.kubeconfig))
        url = f"{connection.server}/version"
        asking = [asyncio.ensure_future(connection.session.get(url)) for _ in range(AT_ONCE)]
        for _ in range(rounds):
            await asyncio.sleep(0)
        await connection.session.close()
        await asyncio.gather(*asking, return_exceptions=True)
        before = len(connection.open_sockets())
        await connection.close()
        return before, len(connection.open_sockets())

    counts = [asyncio.run(story(rounds)) for rounds in range(ROUNDS_MAX)]
    assert sum(before for before, _ in counts) > 0, "some were being made"
    assert sum(after for _, after in counts) == 0
