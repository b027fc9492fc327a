"""The cache: what is newer stays, whatever comes late."""

from typing import Any

from rollout.kube.cache import Cache


def obj(uid: str, version: int) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": "web", "uid": uid, "resourceVersion": str(version)}}


def test_a_late_event_of_a_deleted_object_does_not_replace_its_successor() -> None:
    cache = Cache()
    cache.put(obj("old", 5))
    assert cache.put(obj("new", 9))  # The answer of our own write comes before the watch has told of the deletion.
    assert not cache.put(obj("old", 6))
    assert not cache.drop(obj("old", 8))
    found = cache.get(("shop", "web"))
    assert found is not None
    assert found["metadata"]["uid"] == "new"


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    cache = Cache()
    cache.put(obj("old", 5))
    assert cache.drop(obj("old", 8))
    assert not cache.put(obj("old", 7))
    assert cache.get(("shop", "web")) is None
