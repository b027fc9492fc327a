"""`python -m rollout.sandbox.load`: users of the sandbox. Open loop, bounded, counted a second, loopback only."""

import argparse
import asyncio
import contextlib
import ipaddress
import json
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
IN_FLIGHT_MAX = 200
CONNECTIONS_MAX = 16
ANSWER_SECONDS_MAX = 15.0
RATE_MAX = 2000


class Second:
    """What clients counted in one second."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.arms: dict[str, Json] = {}
        self.failed = 0

    def answered(self, version: str, status: int, seconds: float) -> None:
        """Count an answer."""
        arm = self.arms.setdefault(version, {"ok": 0, "errors": 0, "seconds_sum": 0.0, "seconds_max": 0.0})
        arm["errors" if status >= 500 else "ok"] += 1
        arm["seconds_sum"] = round(arm["seconds_sum"] + seconds, 6)
        arm["seconds_max"] = max(arm["seconds_max"], round(seconds, 6))


class Users:
    """Sends requests at a rate, whatever the answers are.

    Args:
        url: of a gateway on this machine.
        host: value of the Host header.
        rate: requests a second.
        file: where a line a second goes.
    """

    def __init__(self, url: str, host: str, rate: float, file: Path) -> None:
        parts = urlsplit(url)
        if not ipaddress.ip_address(parts.hostname or "").is_loopback:
            raise SystemExit(f"{url} is not on this machine; the load generator sends to loopback only")
        self._address, self._port = parts.hostname, parts.port or 80
        self._request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._rate, self._file = min(rate, RATE_MAX), file
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._flying = 0
        self._second = Second(time.time())

    async def run(self) -> None:
        """Send until cancelled; what was counted is kept."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell())
                due = time.monotonic()
                while True:
                    due = max(due + 1 / self._rate, time.monotonic() - 1.0)
                    await asyncio.sleep(max(due - time.monotonic(), 0))
                    if self._flying < IN_FLIGHT_MAX:
                        self._flying += 1
                        tasks.create_task(self._send())
        finally:
            self._flush()
            for _, writer in self._idle:
                writer.close()

    async def _send(self) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                version, status = await self._exchange()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            self._second.failed += 1
        else:
            if version:
                self._second.answered(version, status, time.perf_counter() - began)
            else:
                self._second.failed += 1
        finally:
            self._flying -= 1

    async def _exchange(self) -> tuple[str, int]:
        """One request on a connection that is kept."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._address, self._port)
        kept = False
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
            await reader.readexactly(int(headers.get("content-length", "0")))
            kept = headers.get("connection") != "close" and len(self._idle) < CONNECTIONS_MAX
            return headers.get("x-version", ""), int(lines[0].split()[1])
        finally:
            if kept:
                self._idle.append((reader, writer))
            else:
                writer.close()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._flush()

    def _flush(self) -> None:
        done, self._second = self._second, Second(time.time())
        with self._file.open("a") as file:
            file.write(json.dumps({"t": done.at, "arms": done.arms, "failed": done.failed}) + "\n")


async def _main(arguments: argparse.Namespace) -> None:
    arguments.data_dir.mkdir(parents=True, exist_ok=True)
    users = Users(arguments.url, arguments.host, arguments.rate, arguments.data_dir / "load.jsonl")
    running = asyncio.ensure_future(users.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m rollout.sandbox.load", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--data-dir", type=Path, required=True)
    asyncio.run(_main(parser.parse_args()))
