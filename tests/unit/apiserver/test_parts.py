"""Parts of the embedded API server that need no server."""

from pathlib import Path

import pytest

from rollout.sandbox.apiserver import jsonpath, protobuf
from rollout.sandbox.apiserver.audit import AuditLog, Record
from rollout.sandbox.apiserver.auth import MAX_ISSUED, Tokens, User
from rollout.sandbox.apiserver.errors import StatusError
from rollout.sandbox.apiserver.fields import manager
from rollout.sandbox.apiserver.fields.paths import from_fields_v1, to_fields_v1
from rollout.sandbox.apiserver.patches import json_patch, merge_patch
from rollout.sandbox.apiserver.schema.quantity import canonical
from rollout.sandbox.apiserver.selectors import format_selector, selector_test
from rollout.sandbox.apiserver.table import duration
from rollout.sandbox.apiserver.typedsl import load_types


@pytest.mark.parametrize(("given", "stored"), [
    ("0.5", "500m"), ("1000m", "1"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1500M", "1500M"), ("2000", "2k"),
    ("0", "0"), ("100n", "100n"), ("1e3", "1e3"), ("12e6", "12e6"),
])  # fmt: skip
def test_quantities_have_one_form(given: str, stored: str) -> None:
    assert canonical(given) == stored


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        canonical("1 GiB")


@pytest.mark.parametrize(("path", "found"), [
    (".spec.replicas", [3]), (".metadata.labels['a.b/c']", ["x"]), (r".metadata.labels.a\.b/c", ["x"]),
    ('.status.conditions[?(@.type=="Ready")].status', ["True"]), (".items[*].n", [1, 2]), (".items[1].n", [2]),
    (".items[-1].n", [2]), (".nothing.here", []), ("{.spec.replicas}", [3]),
])  # fmt: skip
def test_json_paths_find_what_they_name(path: str, found: list[object]) -> None:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]
    obj = {
        "spec": {"replicas": 3}, "metadata": {"labels": {"a.b/c": "x"}},
        "status": {"conditions": conditions}, "items": [{"n": 1}, {"n": 2}],
    }  # fmt: skip
    assert jsonpath.find(obj, path) == found


@pytest.mark.parametrize(("seconds", "shown"), [
    (5, "5s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (1200, "20m"), (11_000, "3h3m"), (40_000, "11h"),
    (200_000, "2d7h"), (900_000, "10d"), (70_000_000, "2y80d"), (-10, "<invalid>"),
])  # fmt: skip
def test_durations_are_shortened_as_kubectl_does(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_field_sets_survive_their_written_form() -> None:
    written = {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {"f:ports": {'k:{"name":"x"}': {".": {}, "f:name": {}}}, "f:tags": {'v:"y"': {}}},
    }
    assert to_fields_v1(from_fields_v1(written)) == written


def test_updaters_beyond_ten_are_folded_into_one() -> None:
    schema = load_types().whole("ConfigMap")
    owned: manager.Ownership = {}
    old: dict[str, object] = {"data": {}}
    for number in range(15):
        new = {"data": {**old["data"], f"k{number}": "v"}}  # type: ignore[dict-item]  # a map by construction
        owner = manager.Owner(f"m{number}", "Update", "v1")
        owned = manager.after_update(old, new, schema, owned, owner, f"2026-01-01T00:00:{number:02d}Z")
        old = new
    assert len(owned) == manager.MAX_UPDATE_MANAGERS
    [ancient] = [entry for owner, entry in owned.items() if owner.manager == manager.ANCIENT]
    assert ("f:data", "f:k0") in ancient.fields


def test_patches_leave_their_target_alone() -> None:
    target = {"a": {"b": [1]}}
    merge_patch(target, {"a": {"c": 1}})
    json_patch(target, [{"op": "add", "path": "/a/b/-", "value": 2}, {"op": "move", "from": "/a/b", "path": "/x"}])
    assert target == {"a": {"b": [1]}}


def test_selectors_are_written_and_matched() -> None:
    selector = {
        "matchLabels": {"b": "1", "a": "2"},
        "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["y", "x"]}],
    }
    assert format_selector(selector) == "a=2,b=1,c notin (x,y)"
    assert selector_test(selector)({"a": "2", "b": "1"})
    assert not selector_test(selector)({"a": "2", "b": "1", "c": "x"})
    assert not selector_test(None)({})
    assert selector_test({})({})


def test_protobuf_that_is_not_understood_is_refused_whole() -> None:
    unknown_kind = b"k8s\x00\n\x0c\n\x02v1\x12\x06Gadget"
    with pytest.raises(StatusError) as caught:
        protobuf.decode(unknown_kind)
    assert caught.value.code == 415
    with pytest.raises(StatusError) as caught:
        protobuf.decode(b"{}")
    assert caught.value.code == 400
    for cut in range(4, len(unknown_kind) - 1):
        with pytest.raises(StatusError):
            protobuf.decode(unknown_kind[:cut])


def test_full_audit_logs_are_turned_over(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, max_bytes=2000)
    for number in range(40):
        log.write(Record(f"/api/{number}", "get", "test", "127.0.0.1", code=200))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["audit.log", "audit.log.1", "audit.log.2", "audit.log.3"]
    assert all(file.stat().st_size <= 2000 for file in files)


def test_issued_tokens_are_bounded() -> None:
    tokens = Tokens({"fixed": User("admin")})
    first = tokens.issue(User("bot"))
    for _ in range(MAX_ISSUED):
        tokens.issue(User("bot"))
    assert tokens.find(first) is None
    assert len(tokens.users) == MAX_ISSUED + 1
    assert "fixed" not in repr(tokens)
