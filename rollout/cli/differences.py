"""What a sync would change of one object, as text. Pure."""

import difflib
from dataclasses import dataclass
from typing import Any

import yaml

from rollout.api.keys import APPLICATION
from rollout.cli.screen import Screen
from rollout.domain.sync.objects import ObjectId
from rollout.kube.drift import essence
from rollout.kube.inventory import OWNER, SOURCE_PATH

Json = dict[str, Any]

_OURS = frozenset({OWNER, SOURCE_PATH, APPLICATION})
_HIDDEN, _HIDDEN_BEFORE, _HIDDEN_AFTER = "***", "*** (before)", "*** (after)"


@dataclass(frozen=True, slots=True)
class Difference:
    """One object, as it lives and as it would be; None where it does not exist."""

    id: ObjectId
    live: Json | None
    planned: Json | None
    note: str = ""

    @property
    def verb(self) -> str:
        """What would happen to it; empty for nothing."""
        if self.live is None:
            return "create" if self.planned is not None else ""
        if self.planned is None:
            return "delete"
        return "change" if essence(self.live) != essence(self.planned) else ""


def summary(differences: list[Difference]) -> str:
    """`1 to create, 2 to change`."""
    counts = {verb: sum(d.verb == verb for d in differences) for verb in ("create", "change", "delete")}
    return ", ".join(f"{count} to {verb}" for verb, count in counts.items() if count) or "no difference"


def lines(difference: Difference, screen: Screen) -> list[str]:
    """A unified diff of the declared parts, in YAML."""
    before, after = _shown(difference)
    name = difference.id.words
    text = difflib.unified_diff(_yaml(before), _yaml(after), f"live {name}", f"synced {name}", lineterm="", n=3)
    head = [f"{difference.verb} {name}" + (f" ({difference.note})" if difference.note else "")]
    return head + [_painted(line, screen) for line in text]


def _painted(line: str, screen: Screen) -> str:
    colours = {"+": "green", "-": "red", "@": "blue"}
    colour = colours.get(line[:1])
    return screen.paint(line, colour) if colour else line


def _shown(difference: Difference) -> tuple[Json | None, Json | None]:
    """Both sides as people may see them: values of Secrets only say whether they differ."""
    sides = [essence(obj) if obj is not None else None for obj in (difference.live, difference.planned)]
    if difference.id.kind == "Secret" and difference.id.group == "":
        return _masked(sides[0], sides[1], _HIDDEN_BEFORE), _masked(sides[1], sides[0], _HIDDEN_AFTER)
    return sides[0], sides[1]


def _masked(secret: Json | None, other: Json | None, changed: str) -> Json | None:
    if secret is None:
        return None
    masked = dict(secret)
    for field in ("data", "stringData"):
        values, others = secret.get(field) or {}, (other or {}).get(field) or {}
        if values:
            masked[field] = {
                k: _HIDDEN if others.get(k) == v or k not in others else changed for k, v in values.items()
            }
    annotations = dict((secret["metadata"].get("annotations")) or {})
    # kubectl keeps the whole Secret in this one.
    if annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None) is not None:
        masked["metadata"] = {**secret["metadata"], "annotations": annotations}
    return masked


def _yaml(obj: Json | None) -> list[str]:
    return yaml.safe_dump(obj, sort_keys=True, allow_unicode=True).splitlines() if obj is not None else []
