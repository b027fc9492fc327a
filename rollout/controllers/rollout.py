"""The Rollout's turns: observe, decide, execute, publish."""

from typing import Any

from rollout.api.rollout import RolloutStatus
from rollout.controllers.context import Context, publish
from rollout.controllers.observe import observe
from rollout.domain.decision import Decision, earliest
from rollout.domain.progress.counting import COUNTS_WAIT_SECONDS, counts_wait
from rollout.domain.rollout import decide
from rollout.domain.world import World
from rollout.execute import RolloutExecutor
from rollout.kube.cache import Key
from rollout.kube.resources import ROLLOUTS

Json = dict[str, Any]


class RolloutController:
    """One turn of a Rollout: nothing slow, everything from the caches."""

    resource = ROLLOUTS

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[Key, float] = {}
        """Until when a status that only counts pods anew waits; lost with the process, and then it waits once more."""
        self.executor = RolloutExecutor(context.client, context.caches, context.performed)

    async def reconcile(self, key: Key) -> float | None:
        """Take one turn; returns when to look again."""
        live = self._context.caches[ROLLOUTS].get(key)
        world = observe(self._context.caches, key)
        if live is None or world is None:
            self._waiting.pop(key, None)
            return None
        decision = decide(world, self._context.now())
        for action in decision.actions:
            await self.executor.perform(live, action)
        until = None
        if self._context.caches[ROLLOUTS].get(key) is not None:
            until = await self._publish(key, live, world, decision)
        if decision.halted:
            self._context.enqueue(ROLLOUTS, key)
        return earliest(decision.wake_at, until)

    async def _publish(self, key: Key, live: Json, world: World, decision: Decision[RolloutStatus]) -> float | None:
        """Publish, or return until when the status waits for what comes next; the events of actions do not."""
        now = self._context.now()
        until = self._waiting.setdefault(key, now + COUNTS_WAIT_SECONDS)
        if now < until and counts_wait(world, decision, until):
            for event in decision.events:
                self._context.recorder.tell(ROLLOUTS, live, event)
            return until
        del self._waiting[key]
        await publish(self._context, ROLLOUTS, live, decision.status, decision.events)
        return None
