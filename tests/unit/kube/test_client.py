"""Requests that nobody answers: a write is given up when its fence says so, and does not arrive later."""

import asyncio
import json
from pathlib import Path

from rollout.errors import ApiUnavailable
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import CONFIG_MAPS


def test_a_write_takes_no_longer_than_its_fence_allows_and_is_taken_back_then(tmp_path: Path) -> None:
    async def story() -> None:
        reset: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await reader.read(1):
                    pass
                reset.set_result(False)
            except ConnectionResetError:
                reset.set_result(True)
            finally:
                writer.close()

        async with await asyncio.start_server(deaf, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            cluster = {"name": "one", "cluster": {"server": f"http://127.0.0.1:{port}"}}
            config = {"clusters": [cluster], "users": [{"name": "one", "user": {}}], "current-context": "one"}
            context = {"name": "one", "context": {"cluster": "one", "user": "one"}}
            path = tmp_path / "config"
            path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "contexts": [context], **config}))
            connection = Connection(str(path))
            client = KubeClient(connection, lambda: 0.2)
            said = ""
            try:
                async with asyncio.timeout(20):
                    await client.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "shop"}})
            except ApiUnavailable as error:
                said = str(error)
            assert said
            async with asyncio.timeout(20):
                assert await reset, "a connection that is closed in order is one whose bytes still arrive"
            await connection.close()

    asyncio.run(story())
