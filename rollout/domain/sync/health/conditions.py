"""The conventions of kstatus: Stalled, Reconciling, Ready, and conditions that end in failure."""

from rollout.domain.sync.health.base import HEALTHY, Health, Json, degraded, progressing


def health_by_conditions(live: Json) -> Health:
    """Health of a kind that nobody taught us; without conditions an object is healthy as soon as it exists."""
    listed = (live.get("status") or {}).get("conditions") or []
    found = {c.get("type"): c for c in listed if isinstance(c, dict)}
    for kind, judge in (("Stalled", degraded), ("Reconciling", progressing)):
        if found.get(kind, {}).get("status") == "True":
            return judge(words_of(found[kind]))
    ready = found.get("Ready")
    if ready is not None and ready.get("status") != "True":
        return progressing(words_of(ready))
    return HEALTHY


def words_of(condition: Json) -> str:
    """A condition in words."""
    return str(condition.get("message") or condition.get("reason") or condition.get("type"))[:300]
