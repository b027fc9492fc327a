"""Gateway API HTTPRoute: reads and writes the weights of the rules that carry both Services, and nothing else.

`spec.rules` is one atomic list, so a write repeats it whole, guarded by resourceVersion. The owner's weights are kept
in an annotation until they are given back, for each pair of Services: several Rollouts may share a route.
"""

import json
from typing import Any

from rollout.api.keys import ORIGINAL_ROUTE
from rollout.domain.world import RouteView

Json = dict[str, Any]
Pair = tuple[Json, Json]
"""The canary's and the stable Service's backendRef of one rule."""
Weights = tuple[int | None, int | None]
"""Their weights; None: not written, which counts as 1."""


def view(route: Json, canary: str, stable: str) -> RouteView:
    """What an HTTPRoute says of the two Services."""
    name = route["metadata"]["name"]
    pairs = _pairs(route, canary, stable)
    if not pairs:
        problem = (
            f'no rule of HTTPRoute "{name}" carries both Services "{stable}" and "{canary}"; '
            "add both as backendRefs of the rule that carries the traffic"
        )
        return RouteView(name, 0, accepted=None, problem=problem, original=True)
    shares = {_share_percent(*_weights(pair)) for pair in pairs}
    accepted, message = _accepted(route)
    return RouteView(
        name,
        shares.pop() if len(shares) == 1 else -1,
        accepted=accepted,
        message=message,
        original=_originals(route, canary, stable) == [_weights(pair) for pair in pairs],
    )


def weight_patch(route: Json, canary: str, stable: str, canary_weight_percent: int) -> Json:
    """The merge patch that gives the canary its share in every rule that carries both Services."""
    original = _originals(route, canary, stable)
    if all(_share_percent(*weights) == canary_weight_percent for weights in original):
        return _patch(route, canary, stable, original, None)
    wanted: list[Weights] = [(canary_weight_percent, 100 - canary_weight_percent)] * len(original)
    return _patch(route, canary, stable, wanted, original)


def restore_patch(route: Json, canary: str, stable: str) -> Json:
    """The merge patch that gives the owner's weights back."""
    return _patch(route, canary, stable, _originals(route, canary, stable), None)


def _patch(route: Json, canary: str, stable: str, weights: list[Weights], original: list[Weights] | None) -> Json:
    rules = json.loads(json.dumps(route["spec"].get("rules") or []))
    pairs = [pair for rule in rules if (pair := _pair(rule, canary, stable)) is not None]
    for pair, values in zip(pairs, weights, strict=False):
        for reference, weight in zip(pair, values, strict=True):
            if weight is None:
                reference.pop("weight", None)
            else:
                reference["weight"] = weight
    kept = {pair: value for pair, value in _kept(route).items() if pair != _name(canary, stable)}
    if original is not None:
        kept[_name(canary, stable)] = original
    metadata = {
        "resourceVersion": route["metadata"]["resourceVersion"],
        "annotations": {ORIGINAL_ROUTE: json.dumps(kept, sort_keys=True) if kept else None},
    }
    return {"metadata": metadata, "spec": {"rules": rules}}


def _pairs(route: Json, canary: str, stable: str) -> list[Pair]:
    rules = route["spec"].get("rules") or []
    return [pair for rule in rules if (pair := _pair(rule, canary, stable)) is not None]


def _pair(rule: Json, canary: str, stable: str) -> Pair | None:
    references = {r["name"]: r for r in rule.get("backendRefs") or [] if (r.get("kind") or "Service") == "Service"}
    return (references[canary], references[stable]) if canary in references and stable in references else None


def _weights(pair: Pair) -> Weights:
    canary, stable = pair
    return canary.get("weight"), stable.get("weight")


def _share_percent(canary: int | None, stable: int | None) -> int:
    """The canary's share; a missing weight is 1, as in the Gateway API. -1: no whole percentage."""
    ours, theirs = (1 if weight is None else weight for weight in (canary, stable))
    total = ours + theirs
    share = ours * 100 / total if total else 0
    return int(share) if share == int(share) else -1


def _originals(route: Json, canary: str, stable: str) -> list[Weights]:
    """The owner's weights: as kept in the annotation, else as they stand."""
    standing = [_weights(pair) for pair in _pairs(route, canary, stable)]
    kept = _kept(route).get(_name(canary, stable))
    if not isinstance(kept, list) or len(kept) != len(standing) or not all(map(_is_weights, kept)):
        return standing
    return [(pair[0], pair[1]) for pair in kept]


def _is_weights(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(w is None or isinstance(w, int) for w in value)


def _name(canary: str, stable: str) -> str:
    """What the weights of two Services are kept under."""
    return f"{canary} {stable}"


def _kept(route: Json) -> dict[str, Any]:
    """What the annotation keeps of every pair of Services; people may have spoilt it."""
    text = (route["metadata"].get("annotations") or {}).get(ORIGINAL_ROUTE)
    try:
        kept = json.loads(text) if text else {}
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _accepted(route: Json) -> tuple[bool | None, str]:
    """Whether every gateway took this generation; None while one has not answered yet."""
    parents = (route.get("status") or {}).get("parents") or []
    if not parents:
        return None, ""
    generation = route["metadata"].get("generation", 0)
    answers = [_answer(parent, generation) for parent in parents]
    refused = next((message for taken, message in answers if taken is False), None)
    if refused is not None:
        return False, refused
    return (True if all(taken for taken, _ in answers) else None), ""


def _answer(parent: Json, generation: int) -> tuple[bool | None, str]:
    conditions = {c["type"]: c for c in parent.get("conditions") or []}
    for kind in ("Accepted", "ResolvedRefs"):
        condition = conditions.get(kind)
        if condition is None or condition.get("observedGeneration", 0) < generation:
            return None, ""
        if condition["status"] != "True":
            words = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            return False, f"{kind}={condition['status']} ({words})"
    return True, ""
