"""Finding objects by what they say of others, without looking at all that exist."""

from typing import Any

from rollout.api.keys import MANAGED_BY
from rollout.controllers.terms import TERMS, claim_term, manager_term, reverts_term
from rollout.kube.cache import Cache
from rollout.kube.resources import APPLICATIONS, ROLLOUTS, SERVICES


def rollout(name: str, service: str, version: int = 1) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"strategy": {"canary": {"stableService": service}}}}


def names(found: list[dict[str, Any]]) -> list[str]:
    return [obj["metadata"]["name"] for obj in found]


def test_a_rollout_is_found_by_what_it_claims_now_and_not_by_what_it_claimed_before() -> None:
    cache = Cache(terms=TERMS[ROLLOUTS])
    cache.put(rollout("web", "stable"))
    cache.put(rollout("api", "stable"))
    assert names(cache.find(claim_term("shop", 'Service "stable"'))) == ["api", "web"]
    cache.put(rollout("web", "other", version=2))
    assert names(cache.find(claim_term("shop", 'Service "stable"'))) == ["api"]
    assert names(cache.find(claim_term("shop", 'Service "other"'))) == ["web"]
    cache.drop(rollout("api", "stable", version=3))
    assert cache.find(claim_term("shop", 'Service "stable"')) == []
    assert cache.find(claim_term("elsewhere", 'Service "other"')) == []


def test_services_are_found_by_their_manager() -> None:
    cache = Cache(terms=TERMS[SERVICES])
    metadata = {"name": "stable", "namespace": "shop", "uid": "s", "resourceVersion": "1"}
    cache.put({"metadata": {**metadata, "annotations": {MANAGED_BY: "web"}}})
    cache.put({"metadata": {**metadata, "name": "free", "uid": "f"}})
    assert names(cache.find(manager_term("shop", "web"))) == ["stable"]


def test_applications_are_found_by_their_repository_once_they_have_a_revert_to_tell_of() -> None:
    cache = Cache(terms=TERMS[APPLICATIONS])

    def put(name: str, version: int, rollouts: Any) -> None:
        metadata = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)}
        spec = {"source": {"repositoryRef": {"name": "mono"}}}
        cache.put({"metadata": metadata, "spec": spec, "status": {"rollouts": rollouts}})

    put("web", 1, [{"name": "web"}, {"name": "api", "revert": {"phase": "Pushed"}}])
    put("quiet", 2, [{"name": "quiet"}])
    put("spoilt", 3, "none")
    assert names(cache.find(reverts_term("shop", "mono"))) == ["web"]
    assert cache.find(reverts_term("shop", "other")) == []
    put("web", 4, [{"name": "web"}])
    assert cache.find(reverts_term("shop", "mono")) == []
