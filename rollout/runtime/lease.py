"""The Lease: of several replicas one acts. Client-go's protocol, with a fence at every write.

Others' renewals are observed with our own monotonic clock, so clocks need not agree. A leader that could not renew in
time stops by itself *before* the lease runs out for the others: `fence()` refuses its writes.
"""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Any

from rollout.errors import CoalmineError, Conflict, LeadershipLost
from rollout.kube.client import KubeClient
from rollout.kube.resources import LEASES
from rollout.runtime.clock import now

Json = dict[str, Any]

STANDBY_SECONDS = 0.5
RELEASE_SECONDS_MAX = 4.0
"""At the end; who is not answered by then leaves the others to wait for the lease to run out. With the end of turns
(`operator.TURNS_END_SECONDS_MAX`) it is less than the ten seconds that a pod is given at least."""


class Elector:
    """Holds, or waits for, one Lease.

    Args:
        client: an unfenced client; the Lease itself is written by everybody.
        namespace, name: of the Lease.
        identity: unique among the replicas.
        duration_seconds: how long others wait for a silent leader.
        renew_seconds: how long a leader trusts its last renewal; less than the duration.
        retry_seconds: how often a leader renews, and others look where that is more often than twice a second.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration_seconds: float = 15.0,
        renew_seconds: float = 10.0,
        retry_seconds: float = 2.0,
    ) -> None:
        self._client, self._namespace, self._name, self.identity = client, namespace, name, identity
        self._duration, self._renew, self._retry = duration_seconds, renew_seconds, retry_seconds
        self._seen: tuple[object, object] | None = None
        self._seen_at = 0.0
        self._renewed_at = float("-inf")
        self.leading = asyncio.Event()
        self.lost = asyncio.Event()

    def reset(self) -> None:
        """Stand for election again after a loss."""
        self.leading.clear()
        self.lost.clear()
        self._renewed_at = float("-inf")

    def is_leader(self) -> bool:
        """Whether this replica may write now."""
        return self._trusted_seconds() > 0

    def fence(self) -> float:
        """Refuse a write of a replica that is not the leader (any more); returns for how many seconds it may write."""
        left = self._trusted_seconds()
        if left <= 0:
            raise LeadershipLost(f"{self.identity} does not hold the Lease {self._namespace}/{self._name}")
        return left

    def _trusted_seconds(self) -> float:
        return self._renewed_at + self._renew - time.monotonic() if self.leading.is_set() else 0.0

    async def run(self) -> None:
        """Try to hold the Lease until it is lost; released on cancellation, so that hand-over is immediate."""
        try:
            while True:
                held = await self._try()
                if held:
                    self.leading.set()
                elif self.leading.is_set() and not self.is_leader():
                    self.leading.clear()
                    self.lost.set()
                    return
                await asyncio.sleep(self._pause(held=held))
        finally:
            await self._release()

    def _pause(self, *, held: bool) -> float:
        """A leader renews in time; who stands by looks often, so that a Lease that is given up is taken at once."""
        if held:
            return self._retry
        if self.leading.is_set():
            return max(min(self._retry, self._trusted_seconds()), 0.0)
        return min(self._retry, STANDBY_SECONDS) * random.uniform(0.8, 1.2)

    async def _try(self) -> bool:
        # A leader hears of its loss when its own trust ends, though nobody answers: its writes are given up then.
        left = self._trusted_seconds()
        try:
            async with asyncio.timeout(left if left > 0 else self._renew):
                return await self._claim()
        except (CoalmineError, TimeoutError):
            return False

    async def _claim(self) -> bool:
        asked_at = time.monotonic()
        lease = await self._client.get(LEASES, self._namespace, self._name)
        if lease is None:
            await self._client.create(LEASES, self._fresh())
        elif not self._free(lease):
            return False
        else:
            await self._client.update(LEASES, {**lease, "spec": self._claimed(lease["spec"])})
        self._renewed_at = asked_at
        return True

    def _free(self, lease: Json) -> bool:
        """Whether the Lease is ours, released, or silent for longer than it promised."""
        spec = lease.get("spec") or {}
        record = (spec.get("holderIdentity"), spec.get("renewTime"))
        if record != self._seen:
            self._seen, self._seen_at = record, time.monotonic()
        if spec.get("holderIdentity") in {self.identity, "", None}:
            return True
        promised = float(spec.get("leaseDurationSeconds") or self._duration)
        return time.monotonic() >= self._seen_at + promised

    def _claimed(self, spec: Json) -> Json:
        time_ = _micro_time()
        claimed = {**spec, "holderIdentity": self.identity, "renewTime": time_}
        claimed["leaseDurationSeconds"] = max(int(self._duration), 1)
        if spec.get("holderIdentity") != self.identity:
            claimed |= {"acquireTime": time_, "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}
        return claimed

    def _fresh(self) -> Json:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": {**self._claimed({}), "leaseTransitions": 0},
        }

    async def _release(self) -> None:
        if not self.leading.is_set():
            return
        self.leading.clear()
        try:
            async with asyncio.timeout(RELEASE_SECONDS_MAX):
                lease = await self._client.get(LEASES, self._namespace, self._name)
                if lease is not None and lease["spec"].get("holderIdentity") == self.identity:
                    released = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.update(LEASES, {**lease, "spec": released})
        except (Conflict, CoalmineError, TimeoutError):
            return  # Nobody answers; the others wait for the lease to run out.


def _micro_time() -> str:
    return datetime.fromtimestamp(now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
