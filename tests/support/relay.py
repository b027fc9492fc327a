"""A TCP relay that can be cut: the network between a replica of the operator and the API server.

Bytes pass as they are, so TLS does too. What is sent while the relay is cut is held, as a network does that loses
packets: it arrives once the relay is mended, unless its sender has reset the connection meanwhile.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024


class Relay:
    """Listens at a port of its own on 127.0.0.1, and passes on to another one.

    Args:
        port: where the real part listens.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._there, self._back = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.mend()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Let nothing pass, in neither direction; new connections are not answered."""
        self._there.clear()
        self._back.clear()

    def mute(self) -> None:
        """Let nothing pass to the real part; what it says still arrives."""
        self._there.clear()

    def mend(self) -> None:
        """Let everything pass, what was held first."""
        self._there.set()
        self._back.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = [writer]
        try:
            with suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
                opened.append(far_writer)
                await asyncio.gather(_pass(reader, far_writer, self._there), _pass(far_reader, writer, self._back))
        finally:
            for each in opened:
                each.close()
                with suppress(OSError):
                    await each.wait_closed()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter, gate: asyncio.Event) -> None:
    """Pass one direction on until its end; a connection that was reset leaves nothing to pass."""
    with suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            await gate.wait()
            if source.exception() is not None:
                break
            target.write(data)
            await target.drain()
        await gate.wait()
    target.close()
