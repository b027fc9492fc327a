"""Requests that nobody answers: a write is given up when its fence says so, and does not arrive later."""

import asyncio
import json
from pathlib import Path

from rollout.errors import ApiUnavailable
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import CONFIG_MAPS
from rollout.sandbox.apiserver.tls import authority


def test_a_write_takes_no_longer_than_its_fence_allows_and_is_taken_back_then(tmp_path: Path) -> None:
    async def story() -> None:
        reset: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def soon_deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                while await reader.read(1):
                    pass
                reset.set_result(False)
            except ConnectionResetError:
                reset.set_result(True)
            finally:
                writer.close()

        certificates = authority(tmp_path, "127.0.0.1")
        async with await asyncio.start_server(soon_deaf, "127.0.0.1", 0, ssl=certificates.server_context()) as server:
            where = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            cluster = {"name": "one", "cluster": {"server": where, "certificate-authority": str(certificates.ca_path)}}
            config = {"clusters": [cluster], "users": [{"name": "one", "user": {}}], "current-context": "one"}
            context = {"name": "one", "context": {"cluster": "one", "user": "one"}}
            path = tmp_path / "config"
            path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "contexts": [context], **config}))
            connection = Connection(str(path))
            client = KubeClient(connection, lambda: 0.2)
            assert await client.get(CONFIG_MAPS, "shop", "a") == {}, "the connection is there for what follows"
            said = ""
            try:
                async with asyncio.timeout(20):
                    await client.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "shop"}})
            except ApiUnavailable as error:
                said = str(error)
            assert "TimeoutError" in said
            async with asyncio.timeout(20):
                assert await reset, "a connection that is closed in order is one whose bytes still arrive"
            await connection.close()

    asyncio.run(story())
