"""All controllers, made and closed together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rollout.controllers.context import Context, Controller
from rollout.controllers.rollout import RolloutController
from rollout.controllers.service import ServiceController


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What controllers need besides the cluster.

    Attributes:
        data_dir: Git mirrors; may be lost at any time.
        metric_addresses: host patterns that namespaced templates may query; none: every address.
    """

    data_dir: Path
    metric_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Controllers:
    """The controllers, and the receiver of Git's notifications."""

    controllers: tuple[Controller, ...]
    webhook: Callable[[str, dict[str, str], bytes], Awaitable[int]]


@asynccontextmanager
async def controllers(context: Context, around: Surroundings) -> AsyncIterator[Controllers]:
    """Make all controllers."""

    async def no_webhook(path: str, headers: dict[str, str], body: bytes) -> int:
        del path, headers, body
        return 404

    yield Controllers((RolloutController(context), ServiceController(context)), no_webhook)
