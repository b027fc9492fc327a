"""Services whose Rollout is gone, or names them no more, get their own selector back."""

from typing import Any

import msgspec

from rollout.api.keys import HASH_LABEL, MANAGED_BY
from rollout.api.rollout import CanaryStrategy, Rollout
from rollout.controllers.context import Context
from rollout.controllers.observe import named_services
from rollout.errors import NotFound
from rollout.kube.cache import Key
from rollout.kube.resources import ROLLOUTS, SERVICES

Json = dict[str, Any]


class ServiceController:
    """One turn of a managed Service."""

    resource = SERVICES

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key) -> float | None:
        """Give a Service back whose manager is gone."""
        service = self._context.caches[SERVICES].get(key)
        manager = ((service or {}).get("metadata", {}).get("annotations") or {}).get(MANAGED_BY)
        if service is None or manager is None or self._wanted(key, manager):
            return None
        patch = {
            "metadata": {
                "annotations": {MANAGED_BY: None},
                "resourceVersion": service["metadata"]["resourceVersion"],
            },
            "spec": {"selector": {HASH_LABEL: None}},
        }
        try:
            answer = await self._context.client.merge_patch(SERVICES, key[0], key[1], patch)
        except NotFound:
            return None
        self._context.caches[SERVICES].put(answer)
        return None

    def _wanted(self, key: Key, manager: str) -> bool:
        live = self._context.caches[ROLLOUTS].get((key[0], manager))
        if live is None:
            return False
        try:
            strategy = msgspec.convert(live, Rollout).spec.strategy.canary or CanaryStrategy()
        except msgspec.ValidationError:
            return True  # Nothing is taken back on a doubt.
        return key[1] in named_services(strategy)
