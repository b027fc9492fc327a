"""The replayable record of how an AnalysisRun ended, in a ConfigMap beside it."""

import asyncio
import base64
import gzip
from typing import Any

from analysis.measure import Judged, RunMeasurer
from rollout.controllers.context import Context
from rollout.domain.decision import Event
from rollout.errors import CoalmineError, Conflict, LeadershipLost
from rollout.execute import owner_reference
from rollout.kube.resources import ANALYSIS_RUNS, CONFIG_MAPS

Json = dict[str, Any]

RECORD_BYTES_MAX = 700_000
"""Packed; etcd takes objects of a little more."""
RECORD_SECONDS_MAX = 60.0


async def keep_record(context: Context, live: Json, measurer: RunMeasurer, ended: Judged) -> str:
    """Keep the record of the judgement that a run ended with; its digest.

    Nothing stands between FAIL and weight 0, so the end is told before. Where there is no record, or it is too large or
    refused (a quota, no permission, a webhook), this gives nothing, and an Event says why.
    """
    try:
        async with asyncio.timeout(RECORD_SECONDS_MAX):
            found = await measurer.recorded(ended)
            if found is None:
                return ""
            judgement, record = found
            await _keep(context, live, await asyncio.to_thread(_packed, record))
    except LeadershipLost:
        raise
    except (CoalmineError, TimeoutError) as error:
        words = str(error) or "no answer in time"
        event = Event("Warning", "RecordNotKept", f"The record of the verdict could not be kept: {words}")
        context.recorder.tell(ANALYSIS_RUNS, live, event)
        return ""
    return judgement.record_digest


def _packed(record: bytes) -> str:
    packed = base64.b64encode(gzip.compress(record, mtime=0)).decode()
    if len(packed) > RECORD_BYTES_MAX:
        raise CoalmineError(f"it has {len(packed)} bytes, packed; at most {RECORD_BYTES_MAX} fit into a ConfigMap")
    return packed


async def _keep(context: Context, live: Json, packed: str) -> None:
    metadata = live["metadata"]
    name, namespace = f"{metadata['name']}-record", metadata["namespace"]
    owner = {**owner_reference(live), "apiVersion": live["apiVersion"], "kind": ANALYSIS_RUNS.kind}
    obj: Json = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"coalmine.dev/record": "analysis"},
            "ownerReferences": [owner],
        },
        "binaryData": {"record.json.gz": packed},
    }
    try:
        await context.client.create(CONFIG_MAPS, obj)
    except Conflict:
        # An operator before this one kept one, of an end that was not told: it has to be the one of the status.
        there = await context.client.get(CONFIG_MAPS, namespace, name)
        owners = (there or {}).get("metadata", {}).get("ownerReferences") or []
        if not any(one["uid"] == metadata["uid"] for one in owners):
            raise
        await context.client.merge_patch(CONFIG_MAPS, namespace, name, {"binaryData": obj["binaryData"]})
