"""The weights of an HTTPRoute: written for one pair of Services, given back as their owner wrote them."""

import copy
from typing import Any

import pytest

from rollout.api.keys import ORIGINAL_ROUTE
from rollout.traffic import httproute

Json = dict[str, Any]


def route(*rules: dict[str, int | None]) -> Json:
    """A route of rules, each with weights by Service; None: not written."""
    references = [
        [{"name": name, "port": 80} | ({} if w is None else {"weight": w}) for name, w in rule.items()]
        for rule in rules
    ]
    spec = {"rules": [{"backendRefs": refs} for refs in references]}
    return {"metadata": {"name": "web", "resourceVersion": "1", "generation": 1}, "spec": spec}


def patched(live: Json, patch: Json) -> Json:
    """The route after a merge patch."""
    new = copy.deepcopy(live)
    new["spec"] |= patch["spec"]
    annotations = {**(new["metadata"].get("annotations") or {}), **patch["metadata"]["annotations"]}
    new["metadata"]["annotations"] = {key: value for key, value in annotations.items() if value is not None}
    return new


def weights(live: Json) -> list[dict[str, int | None]]:
    return [{r["name"]: r.get("weight") for r in rule["backendRefs"]} for rule in live["spec"]["rules"]]


def test_weights_are_given_back_as_their_owner_wrote_them() -> None:
    owners = route({"canary": None, "stable": 7}, {"admin": 1})
    moved = patched(owners, httproute.weight_patch(owners, "canary", "stable", 25))
    assert weights(moved) == [{"canary": 25, "stable": 75}, {"admin": 1}]
    assert not httproute.view(moved, "canary", "stable").original
    back = patched(moved, httproute.restore_patch(moved, "canary", "stable"))
    assert back["spec"] == owners["spec"]
    assert httproute.view(back, "canary", "stable").original
    assert ORIGINAL_ROUTE not in back["metadata"]["annotations"]


def test_two_rollouts_on_one_route_keep_and_give_back_each_its_own_weights() -> None:
    owners = route({"canary": 0, "stable": 100}, {"shop-canary": None, "shop-stable": 4})
    first = patched(owners, httproute.weight_patch(owners, "canary", "stable", 50))
    both = patched(first, httproute.weight_patch(first, "shop-canary", "shop-stable", 10))
    assert weights(both) == [{"canary": 50, "stable": 50}, {"shop-canary": 10, "shop-stable": 90}]
    one_left = patched(both, httproute.weight_patch(both, "canary", "stable", 0))
    assert weights(one_left) == [{"canary": 0, "stable": 100}, {"shop-canary": 10, "shop-stable": 90}]
    assert httproute.view(one_left, "canary", "stable").original
    assert not httproute.view(one_left, "shop-canary", "shop-stable").original
    none_left = patched(one_left, httproute.restore_patch(one_left, "shop-canary", "shop-stable"))
    assert none_left["spec"] == owners["spec"]
    assert ORIGINAL_ROUTE not in none_left["metadata"]["annotations"]


@pytest.mark.parametrize("spoilt", ["{", "7", "[[0, 100]]", '{"canary stable": [[0]]}', '{"canary stable": "x"}'])
def test_a_spoilt_annotation_makes_the_standing_weights_the_owners(spoilt: str) -> None:
    live = route({"canary": 20, "stable": 80})
    live["metadata"]["annotations"] = {ORIGINAL_ROUTE: spoilt}
    seen = httproute.view(live, "canary", "stable")
    assert (seen.canary_weight_percent, seen.original) == (20, True)
