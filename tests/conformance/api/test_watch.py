"""Watches."""

from typing import Any

from tests.conformance.api.samples import widget
from tests.conformance.client import JSON_PATCH, Api


def seen(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["type"], one["object"]["metadata"].get("name", "")) for one in events if one["type"] != "BOOKMARK"]


def at_least(number: int) -> Any:
    return lambda events: len(events) >= number


def revision(api: Api, path: str) -> str:
    return str(api.get(path).body["metadata"]["resourceVersion"])


def test_a_watch_replays_what_happened_since_its_revision(api: Api, widgets: str) -> None:
    api.post(widgets, widget("before"))
    start = revision(api, widgets)
    api.post(widgets, widget("w"))
    api.patch(f"{widgets}/w", {"spec": {"replicas": 1}})
    api.delete(f"{widgets}/w")
    events = api.watch(f"{widgets}?watch=true&resourceVersion={start}", at_least(3))
    assert seen(events) == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")]
    versions = [int(one["object"]["metadata"]["resourceVersion"]) for one in events]
    assert versions == sorted(versions)
    assert versions[0] > int(start)


def test_a_watch_without_revision_begins_with_what_exists(api: Api, widgets: str) -> None:
    for name in ("a", "b"):
        api.post(widgets, widget(name))
    assert seen(api.watch(f"{widgets}?watch=1", at_least(2))) == [("ADDED", "a"), ("ADDED", "b")]


def test_a_watch_selects_by_labels_and_sees_objects_come_and_go(api: Api, widgets: str) -> None:
    start = revision(api, widgets)
    api.post(widgets, widget("a", labels={"app": "a"}))
    api.post(widgets, widget("b", labels={"app": "b"}))
    api.patch(f"{widgets}/a", {"metadata": {"labels": {"app": "other"}}})
    api.patch(f"{widgets}/a", {"metadata": {"labels": {"app": "a"}}})
    api.delete(f"{widgets}/a")
    events = api.watch(f"{widgets}?watch=true&labelSelector=app%3Da&resourceVersion={start}", at_least(4))
    assert seen(events) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")]
    assert events[1]["object"]["metadata"]["labels"] == {"app": "a"}


def test_a_watch_of_one_object_sees_only_it(api: Api, widgets: str) -> None:
    start = revision(api, widgets)
    for name in ("a", "b"):
        api.post(widgets, widget(name))
    path = f"{widgets}?watch=true&fieldSelector=metadata.name%3Db&resourceVersion={start}"
    assert seen(api.watch(path, at_least(1))) == [("ADDED", "b")]


def test_initial_events_end_with_a_bookmark(api: Api, widgets: str) -> None:
    for name in ("a", "b"):
        api.post(widgets, widget(name))
    query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    events = api.watch(f"{widgets}?{query}", at_least(3))
    assert [one["type"] for one in events] == ["ADDED", "ADDED", "BOOKMARK"]
    metadata = events[-1]["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(metadata["resourceVersion"]) > 0


def test_initial_events_need_a_match(api: Api, widgets: str) -> None:
    [event] = api.watch(f"{widgets}?watch=true&sendInitialEvents=true", at_least(1))
    assert event["type"] == "HTTP"
    assert event["status"] == 422


def test_time_limits_end_a_watch(api: Api, widgets: str) -> None:
    start = revision(api, widgets)
    assert api.watch(f"{widgets}?watch=true&timeoutSeconds=1&resourceVersion={start}", at_least(1)) == []


def test_bookmarks_come_when_they_are_allowed(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a"))
    start = revision(api, widgets)
    query = f"watch=true&allowWatchBookmarks=true&timeoutSeconds=100&resourceVersion={start}"
    events = api.watch(f"{widgets}?{query}", at_least(1))
    assert [one["type"] for one in events] == ["BOOKMARK"]
    assert events[0]["object"]["kind"] == "Widget"
    assert int(events[0]["object"]["metadata"]["resourceVersion"]) >= int(start)


def test_a_revision_that_is_too_old_is_gone(api: Api, widgets: str) -> None:
    [event] = api.watch(f"{widgets}?watch=true&resourceVersion=1", at_least(1))
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: 1 (")


def test_tables_are_watched_too(api: Api, widgets: str) -> None:
    start = revision(api, widgets)
    api.post(widgets, widget("a"))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    [event] = api.watch(f"{widgets}?watch=true&resourceVersion={start}", at_least(1), Accept=accept)
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
    assert event["object"]["rows"][0]["cells"][0] == "a"


def test_deletions_that_wait_are_modifications(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a", finalizers=["lab.coalmine.dev/hold"]))
    start = revision(api, widgets)
    api.delete(f"{widgets}/a")
    api.patch(f"{widgets}/a", [{"op": "remove", "path": "/metadata/finalizers"}], JSON_PATCH)
    events = api.watch(
        f"{widgets}?watch=true&resourceVersion={start}",
        lambda found: found[-1:] != [] and found[-1]["type"] == "DELETED",
    )
    kinds = [one["type"] for one in events]
    assert kinds[0] == "MODIFIED"
    assert kinds[-1] == "DELETED"
    assert kinds.count("DELETED") == 1
