"""The embedded API server as a process: owners, namespaces, restarts, the audit log, its end."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.api.samples import config_map, deployment, names
from tests.conformance.client import Api
from tests.support.api_process import ROOT, embedded_server

MAPS = "/api/v1/namespaces/default/configmaps"


def connect(running: Any) -> Api:
    return Api(running.url, running.token, running.ca_pem)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with embedded_server(tmp_path_factory.mktemp("api"), "--window", "20") as running:
        yield connect(running)


def owned_by(owner: dict[str, Any], name: str, *, block: bool = False) -> dict[str, Any]:
    reference = {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": block,
    }  # fmt: skip
    return config_map(name, ownerReferences=[reference])


def is_gone(api: Api, path: str) -> bool:
    return api.eventually(path, lambda reply: reply.status == 404).status == 404


def test_dependents_follow_their_owner(api: Api) -> None:
    owner = api.post(MAPS, config_map("owner-1")).body
    middle = api.post(MAPS, owned_by(owner, "middle-1")).body
    api.post(MAPS, owned_by(middle, "leaf-1"))
    api.delete(f"{MAPS}/owner-1")
    assert is_gone(api, f"{MAPS}/middle-1")
    assert is_gone(api, f"{MAPS}/leaf-1")


def test_a_dependent_of_two_owners_stays_with_the_one_that_lives(api: Api) -> None:
    first, second = (api.post(MAPS, config_map(f"owner-2{one}")).body for one in "ab")
    body = owned_by(first, "shared-2")
    body["metadata"]["ownerReferences"] += owned_by(second, "x")["metadata"]["ownerReferences"]
    api.post(MAPS, body)
    api.delete(f"{MAPS}/owner-2a")
    found = api.eventually(f"{MAPS}/shared-2", lambda r: len(r.body["metadata"]["ownerReferences"]) == 1)
    assert [one["name"] for one in found.body["metadata"]["ownerReferences"]] == ["owner-2b"]


def test_orphans_forget_their_owner(api: Api) -> None:
    owner = api.post(MAPS, config_map("owner-3")).body
    api.post(MAPS, owned_by(owner, "orphan-3"))
    api.delete(f"{MAPS}/owner-3", {"propagationPolicy": "Orphan"})
    assert is_gone(api, f"{MAPS}/owner-3")
    assert "ownerReferences" not in api.get(f"{MAPS}/orphan-3").body["metadata"]


def test_a_foreground_deletion_waits_for_its_dependents(api: Api) -> None:
    owner = api.post(MAPS, config_map("owner-4")).body
    held = owned_by(owner, "held-4", block=True)
    held["metadata"]["finalizers"] = ["lab.coalmine.dev/hold"]
    api.post(MAPS, held)
    reply = api.delete(f"{MAPS}/owner-4", {"propagationPolicy": "Foreground"})
    assert reply.body["metadata"]["finalizers"] == ["foregroundDeletion"]
    marked = api.eventually(f"{MAPS}/held-4", lambda r: "deletionTimestamp" in r.body["metadata"])
    assert marked.body["metadata"]["deletionTimestamp"]
    assert api.get(f"{MAPS}/owner-4").status == 200
    api.patch(f"{MAPS}/held-4", {"metadata": {"finalizers": None}})
    assert is_gone(api, f"{MAPS}/owner-4")


def test_what_names_an_owner_that_never_was_goes_away(api: Api) -> None:
    owner = api.post(MAPS, config_map("owner-5")).body
    api.delete(f"{MAPS}/owner-5")
    api.post(MAPS, owned_by(owner, "late-5"))
    assert is_gone(api, f"{MAPS}/late-5")


def test_a_namespace_takes_its_content_along(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}}
    api.post("/api/v1/namespaces", body)
    assert api.get("/api/v1/namespaces/going/serviceaccounts/default").status == 200
    path = "/api/v1/namespaces/going/configmaps"
    api.post(path, config_map("held", finalizers=["lab.coalmine.dev/hold"]))
    api.post(path, config_map("free"))
    assert api.delete("/api/v1/namespaces/going").body["status"]["phase"] == "Terminating"
    assert is_gone(api, f"{path}/free")
    refused = api.post(path, config_map("new"))
    assert (refused.status, refused.body["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    api.patch(f"{path}/held", {"metadata": {"finalizers": None}})
    assert is_gone(api, "/api/v1/namespaces/going")


def test_history_is_bounded(api: Api) -> None:
    start = api.get(MAPS).body["metadata"]["resourceVersion"]
    for number in range(25):
        api.post(MAPS, config_map(f"filler-{number}"))
    [event] = api.watch(f"{MAPS}?watch=true&resourceVersion={start}", bool)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_objects_and_revisions_outlive_the_process(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as running:
        api = connect(running)
        api.post(MAPS, config_map("gone"))
        kept = api.post(MAPS, config_map("kept", {"a": "b"})).body
        api.delete(f"{MAPS}/gone")
        revision = int(api.get(MAPS).body["metadata"]["resourceVersion"])
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"revision":99999,"ref":["","configmaps"')
    with embedded_server(tmp_path) as running:
        again = connect(running)
        assert again.get(f"{MAPS}/kept").body == kept
        assert again.get(f"{MAPS}/gone").status == 404
        assert int(again.post(MAPS, config_map("new")).body["metadata"]["resourceVersion"]) > revision
        [event] = again.watch(f"{MAPS}?watch=true&resourceVersion={revision - 1}", bool)
        assert event["object"]["code"] == 410
    assert revision < 99999


def test_every_request_is_in_the_audit_log(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as running:
        api = connect(running)
        api.post(MAPS, config_map("a"))
        api.call("GET", f"{MAPS}/missing", User_Agent="probe/1", Impersonate_User="alice", Impersonate_Group="dev")
        Api(running.url, "wrong", running.ca_pem).get(MAPS)
    events = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    created, missing, refused = events[-3:]
    assert (created["verb"], created["responseStatus"]["code"]) == ("create", 201)
    assert created["objectRef"] == {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
    assert created["user"]["username"] == "admin"
    assert (created["apiVersion"], created["stage"], created["level"]) == (
        "audit.k8s.io/v1", "ResponseComplete", "Metadata",
    )  # fmt: skip
    assert (missing["userAgent"], missing["objectRef"]["name"]) == ("probe/1", "missing")
    assert missing["impersonatedUser"] == {"username": "alice", "groups": ["dev", "system:authenticated"]}
    assert (missing["responseStatus"]["code"], missing["responseStatus"]["reason"]) == (404, "NotFound")
    assert (refused["responseStatus"]["code"], refused["user"]) == (401, {})
    assert running.token not in (tmp_path / "audit.log").read_text()


def test_secrets_on_disk_are_only_for_their_owner(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as running:
        for name in ("tokens.csv", "server.key", "kubeconfig"):
            assert (running.folder / name).stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_the_server_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-m', 'rollout.sandbox.apiserver', '--data-dir', {str(tmp_path)!r}],"
        " stdout=subprocess.PIPE, text=True)\n"
        "print(p.pid, p.stdout.readline().strip(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid, url = parent.stdout.readline().split()
        pidfd = os.pidfd_open(int(pid))
        try:
            assert url.startswith("https://127.0.0.1:")
            parent.kill()
            parent.wait()
            readable, _, _ = select.select([pidfd], [], [], 30)
            assert readable, "the server outlived its parent"
        finally:
            os.close(pidfd)


def test_sigterm_ends_the_server_while_it_is_watched(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as running:
        api = connect(running)

        def stop(events: list[dict[str, Any]]) -> bool:
            if len(events) == 1:
                os.kill(running.pid, signal.SIGTERM)
            return False

        api.post(MAPS, config_map("a"))
        assert len(api.watch(f"{MAPS}?watch=true", stop)) == 1


def test_the_last_write_is_listed_at_once(api: Api) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    api.post(path, deployment("listed"))
    assert "listed" in names(api.get(path).body)
