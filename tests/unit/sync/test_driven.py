"""Drift repair does not fight the rollout: what is driven keeps its live value, everything else is Git's."""

import copy
from typing import Any

from rollout.domain.sync.driven import drivers, is_driven, with_live_values

ROLLOUT: dict[str, Any] = {
    "apiVersion": "coalmine.dev/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"strategy": {"canary": {"stableService": "stable", "canaryService": "canary"}}},
}
AUTOSCALER: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"scaleTargetRef": {"apiVersion": "coalmine.dev/v1alpha1", "kind": "Rollout", "name": "web"}},
}


def route(stable: int | None, canary: int | None, *, timeout: str = "5s", namespace: str = "shop") -> dict[str, Any]:
    refs = [{"name": "stable", "port": 80, "weight": stable}, {"name": "canary", "port": 80, "weight": canary}]
    for ref in refs:
        if ref["weight"] is None:
            del ref["weight"]
    other = {"matches": [{"path": {"value": "/other"}}], "backendRefs": [{"name": "other", "port": 80, "weight": 7}]}
    spec = {"rules": [{"backendRefs": refs, "timeouts": {"request": timeout}}, other]}
    meta = {"name": "web", "namespace": namespace}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, "spec": spec}


def test_weights_of_a_rollouts_services_stay_and_the_rest_is_gits() -> None:
    desired, live = route(100, 0), route(75, 25, timeout="99s")
    live["spec"]["rules"][1]["backendRefs"][0]["weight"] = 1
    before = copy.deepcopy(desired)
    assert with_live_values(desired, live, drivers([ROLLOUT])) == route(75, 25)
    assert desired == before


def test_a_weight_that_lives_by_default_is_left_out() -> None:
    assert with_live_values(route(100, 0), route(None, None), drivers([ROLLOUT])) == route(None, None)


def test_without_a_rollout_the_weights_are_gits() -> None:
    assert with_live_values(route(100, 0), route(75, 25), drivers([])) == route(100, 0)
    assert with_live_values(route(9, 1, namespace="x"), route(7, 3, namespace="x"), drivers([ROLLOUT])) == route(
        9, 1, namespace="x"
    )


def test_a_rule_is_found_by_its_name_when_rules_moved() -> None:
    desired, live = route(100, 0), route(75, 25)
    desired["spec"]["rules"][0]["name"] = live["spec"]["rules"][0]["name"] = "main"
    live["spec"]["rules"].reverse()
    merged = with_live_values(desired, live, drivers([ROLLOUT]))
    assert [ref["weight"] for ref in merged["spec"]["rules"][0]["backendRefs"]] == [75, 25]


def test_an_object_that_does_not_exist_yet_is_as_git_declares_it() -> None:
    assert with_live_values(route(100, 0), None, drivers([ROLLOUT])) == route(100, 0)


def service(name: str, selector: dict[str, str], managed: str = "") -> dict[str, Any]:
    annotations = {"coalmine.dev/managed-by-rollouts": managed} if managed else {}
    meta = {"name": name, "namespace": "shop", **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": selector}}


def test_the_hash_in_a_services_selector_stays_and_other_keys_are_gits() -> None:
    live = service("stable", {"app": "foreign", "rollouts-pod-template-hash": "abc"}, "web")
    merged = with_live_values(service("stable", {"app": "web"}), live, drivers([ROLLOUT]))
    assert merged == service("stable", {"app": "web", "rollouts-pod-template-hash": "abc"}, "web")


def test_another_service_is_not_driven() -> None:
    live = service("other", {"app": "web", "rollouts-pod-template-hash": "abc"})
    assert with_live_values(service("other", {"app": "web"}), live, drivers([ROLLOUT])) == service(
        "other", {"app": "web"}
    )


def test_an_autoscaler_keeps_its_number_of_pods() -> None:
    desired = {**ROLLOUT, "spec": {**ROLLOUT["spec"], "replicas": 2}}
    live = {**ROLLOUT, "spec": {**ROLLOUT["spec"], "replicas": 7}}
    assert with_live_values(desired, live, drivers([ROLLOUT, AUTOSCALER]))["spec"]["replicas"] == 7
    assert with_live_values(desired, live, drivers([ROLLOUT]))["spec"]["replicas"] == 2
    assert not is_driven(desired, drivers([ROLLOUT]))
