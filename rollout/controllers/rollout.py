"""The Rollout's turns: observe, decide, execute, publish."""

from typing import Any

from rollout.controllers.context import Context, publish
from rollout.controllers.observe import observe
from rollout.domain.rollout import decide
from rollout.execute import RolloutExecutor
from rollout.kube.cache import Key
from rollout.kube.resources import ROLLOUTS

Json = dict[str, Any]


class RolloutController:
    """One turn of a Rollout: nothing slow, everything from the caches."""

    resource = ROLLOUTS

    def __init__(self, context: Context) -> None:
        self._context = context
        self.executor = RolloutExecutor(context.client, context.caches, context.performed)

    async def reconcile(self, key: Key) -> float | None:
        """Take one turn; returns when to look again."""
        live = self._context.caches[ROLLOUTS].get(key)
        world = observe(self._context.caches, key)
        if live is None or world is None:
            return None
        decision = decide(world, self._context.now())
        for action in decision.actions:
            await self.executor.perform(live, action)
        if self._context.caches[ROLLOUTS].get(key) is not None:
            await publish(self._context, ROLLOUTS, live, decision.status, decision.events)
        if decision.halted:
            self._context.enqueue(ROLLOUTS, key)
        return decision.wake_at
