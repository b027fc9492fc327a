"""The JSONPath of printer columns and scale subresources.

Fields, quoted fields, indexes, `[*]` and filters by one comparison; that is what CRDs use.
"""

import re
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\]|\\.)+)
      | \[(?P<quote>['"])(?P<quoted>.+?)(?P=quote)\]
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \[\?\(\s*@\.(?P<key>[\w.\-]+)\s*(?P<operator>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[^)\s]+)\s*\)\]""",
    re.VERBOSE,
)
Step = dict[str, str | None]


@lru_cache(maxsize=512)
def _steps(path: str) -> tuple[Step, ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    return tuple(matched.groupdict() for matched in _STEP.finditer(text))


def find(obj: Any, path: str) -> list[Any]:
    """All values that the path finds, none if there are none."""
    found = [obj]
    for step in _steps(path):
        found = [value for node in found for value in _follow(node, step)]
    return found


def first(obj: Any, path: str) -> Any:
    """The first value, or None."""
    return next(iter(find(obj, path)), None)


def _follow(node: Any, step: Step) -> list[Any]:
    name = step["field"] or step["quoted"]
    if name is not None:
        name = name.replace("\\", "") if step["field"] else name
        if name == "*":
            return list(node.values()) if isinstance(node, dict) else []
        return [node[name]] if isinstance(node, dict) and name in node else []
    if not isinstance(node, list):
        return []
    if step["index"] is not None:
        index = int(step["index"])
        return [node[index]] if -len(node) <= index < len(node) else []
    if step["all"]:
        return node
    return [item for item in node if _matches(item, step)]


def _matches(item: Any, step: Step) -> bool:
    value = item
    for key in (step["key"] or "").split("."):
        value = value.get(key) if isinstance(value, dict) else None
    wanted = (step["value"] or "").strip("\"'")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return (value is not None and text == wanted) == (step["operator"] == "==")
