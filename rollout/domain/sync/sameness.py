"""Whether two renders differ in anything but one failed Rollout."""

from rollout.domain.sync.digest import rollout_template
from rollout.domain.sync.objects import Json, ObjectId, Rendered

_CONFIG_KINDS = frozenset({"ConfigMap", "Secret"})


def other_differences(before: Rendered, after: Rendered, namespace: str, name: str) -> tuple[ObjectId, ...]:
    """Objects that differ, except the Rollout itself and the ConfigMaps and Secrets that its templates name.

    Args:
        before: the render of HEAD.
        after: the render of the result.
        namespace: of the Rollout.
        name: of the Rollout.
    """
    old = {o.id: o.obj for o in before.objects}
    new = {o.id: o.obj for o in after.objects}
    own = _own(before, namespace, name) | _own(after, namespace, name)
    differing = (i for i in old.keys() | new.keys() if old.get(i) != new.get(i))
    return tuple(sorted(i for i in differing if i not in own))


def _own(rendered: Rendered, namespace: str, name: str) -> set[ObjectId]:
    """The Rollout, and the configuration that its template names."""
    rollouts = [o for o in rendered.rollouts if (o.id.namespace, o.id.name) == (namespace, name)]
    named = {text for o in rollouts for text in _texts(rollout_template(o.obj))}
    configs = {
        o.id
        for o in rendered.objects
        if o.id.kind in _CONFIG_KINDS and o.id.namespace == namespace and o.id.name in named
    }
    return {o.id for o in rollouts} | configs


def _texts(value: Json | list[Json] | str | float | None) -> set[str]:
    """Every text in a value."""
    match value:
        case dict():
            return {text for item in value.values() for text in _texts(item)}
        case list():
            return {text for item in value for text in _texts(item)}
        case str():
            return {value}
        case _:
            return set()
