"""PersistentVolumeClaims."""

from rollout.domain.sync.health.base import HEALTHY, Health, Json, degraded, progressing


def claim_health(live: Json) -> Health:
    """Health of a claim: bound to a volume."""
    match (live.get("status") or {}).get("phase"):
        case "Lost":
            return degraded("the volume is lost")
        case "Pending":
            return progressing("is not bound yet")
        case _:
            return HEALTHY
