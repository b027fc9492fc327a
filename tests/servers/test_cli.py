"""The command shows, waits and errs as it should: a process of its own against the embedded API server.

No operator runs: statuses are written here, so that what the command reads is known exactly.
"""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from rollout.kube.resources import NAMESPACES, PODS, REPLICA_SETS, ROLLOUTS
from rollout.sandbox.apiserver import kubeconfig, write_kubeconfig
from rollout.sandbox.parts import free_port
from tests.support.api_process import ROOT, embedded_server
from tests.support.command import BIN, BOUND_SECONDS, NAMESPACE, Scene, create, lines_until, stage
from tests.support.proxy import Proxy
from tests.unit.cli.objects import healthy, live_rollout, pod, replica_set, template, updating


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with stage(tmp_path_factory.mktemp("cli")) as made:
        yield made


def test_rollouts_are_listed_here_and_everywhere_by_the_command_and_by_kubectl(scene: Scene) -> None:
    scene.reset(updating())
    out, _ = scene.run("get", "rollouts")
    assert out.splitlines()[1].split() == ["web", "Canary", "Paused", "1/4", "25", "4/4", "4", "1", "4"]
    if (BIN / "kubectl").exists():
        out, _ = scene.run("coalmine", "get", "rollouts", "-A", program="kubectl")
        assert out.splitlines()[1].split()[:2] == ["shop", "web"]
        _, told = scene.run("coalmine", "status", "gone", program="kubectl", code=1)
        assert told.startswith("kubectl coalmine: ")
    out, _ = scene.run("get", "rollouts", "--namespace", "default")
    assert "no Rollouts" not in out, "what is said last counts"


def test_the_tree_has_what_the_rollout_owns_and_nothing_else(scene: Scene) -> None:
    old, new = replica_set("old", 1, template("demo:1"), replicas=3), replica_set("new", 2, template("demo:2"))
    foreign = replica_set("else", 1, template("demo:1"))
    foreign["metadata"]["ownerReferences"] = []
    scene.reset(updating(), (REPLICA_SETS, old), (REPLICA_SETS, new), (REPLICA_SETS, foreign))
    out, _ = scene.run("get", "rollout", "web")
    assert "├──revision:2" in out
    assert "web-old" in out
    assert "stable" in out
    assert "web-else" not in out
    assert "\x1b" not in out


def test_a_terminal_that_knows_only_ascii_still_gets_its_answer(scene: Scene) -> None:
    scene.reset(updating(), (REPLICA_SETS, replica_set("new", 2, template("demo:2"))))
    out, _ = scene.run("get", "rollout", "web", PYTHONIOENCODING="ascii")
    assert "revision:2" in out


def test_a_watch_prints_each_change_once_where_nobody_looks_and_ends_by_ctrl_c(scene: Scene) -> None:
    scene.reset(updating())
    with scene.start("get", "rollout", "web", "-n", "shop", "-w") as process:
        first = lines_until(process.stdout, "NAME  ")
        assert "Paused" in first
        scene.status({"phase": "Degraded", "message": "RolloutAborted: x"})
        assert "Degraded" in lines_until(process.stdout, "Degraded")
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=BOUND_SECONDS)
        assert process.returncode == 130
        assert out.count("Name:") <= 1
        assert "Traceback" not in told


def test_a_watch_ends_when_its_rollout_is_gone(scene: Scene) -> None:
    scene.reset(updating())
    with scene.start("get", "rollout", "web", "-n", "shop", "-w") as process:
        lines_until(process.stdout, "NAME  ")
        scene.do(lambda client: client.delete(ROLLOUTS, "shop", "web"))
        out, _ = process.communicate(timeout=BOUND_SECONDS)
        assert "the Rollout is gone" in out
        assert process.returncode == 0


def test_a_reader_that_has_seen_enough_gets_no_traceback(scene: Scene) -> None:
    scene.reset(updating())
    with scene.start("get", "rollouts", "-n", "shop", "-w") as process:
        process.stdout.readline()
        process.stdout.close()
        scene.status({"updatedReplicas": 2})
        told = process.stderr.read()
        assert process.wait(BOUND_SECONDS) != 0
        assert told == ""
        process.stderr.close()


def test_pods_of_the_tree_are_those_of_its_replica_sets(scene: Scene) -> None:
    scene.reset(updating(), (REPLICA_SETS, replica_set("new", 2, template("demo:2"))))
    uid = scene.do(lambda c: c.get(REPLICA_SETS, "shop", "web-new"))["metadata"]["uid"]
    mine = pod("web-new-1", "new")
    mine["metadata"] |= {"labels": {"rollouts-pod-template-hash": "new"}}
    mine["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-new", "uid": uid}
    ]
    mine["spec"]["containers"][0]["image"] = "demo:2"
    scene.do(lambda client: create(client, PODS, mine))
    out, _ = scene.run("get", "rollout", "web")
    assert "web-new-1" in out
    assert "ready:1/1" in out


def test_a_wait_ends_with_0_when_the_rollout_is_healthy(scene: Scene) -> None:
    scene.reset(updating())
    with scene.start("status", "web", "-n", "shop") as process:
        lines_until(process.stdout, "Paused: CanaryPauseStep")
        scene.status({"phase": "Healthy", "message": None, "pauseConditions": None, "stableRS": "new"})
        out, told = process.communicate(timeout=BOUND_SECONDS)
        assert (process.returncode, out) == (0, "Healthy\n")
        assert "coalmine promote web -n shop" in told


def test_a_failure_ends_with_1_and_its_words(scene: Scene) -> None:
    scene.reset(live_rollout(phase="Degraded", message="InvalidSpec: spec.strategy: unknown"))
    out, _ = scene.run("status", "web", code=1)
    assert out == "Degraded: InvalidSpec: spec.strategy: unknown\n"


def test_a_status_about_an_older_generation_is_waited_for(scene: Scene) -> None:
    scene.reset(healthy())
    scene.do(lambda c: c.merge_patch(ROLLOUTS, "shop", "web", {"spec": {"replicas": 5}}))
    out, told = scene.run("status", "web", "--timeout", "1s", code=2)
    assert "waiting for the operator to see generation" in out
    assert "timed out after 1 s" in told
    generation = scene.live["metadata"]["generation"]
    scene.status({"observedGeneration": generation})
    assert scene.run("status", "web")[0] == "Healthy\n"


def test_one_look_does_not_wait(scene: Scene) -> None:
    scene.reset(updating())
    scene.run("status", "web", "--no-watch", code=2)
    scene.run("status", "web", "--timeout", "1s", code=2)


def test_a_rollout_that_is_deleted_while_it_is_waited_for_is_a_failure(scene: Scene) -> None:
    scene.reset(updating())
    with scene.start("status", "web", "-n", "shop") as process:
        lines_until(process.stdout, "Paused")
        scene.do(lambda client: client.delete(ROLLOUTS, "shop", "web"))
        _, told = process.communicate(timeout=BOUND_SECONDS)
        assert process.returncode == 1
        assert "not found" in told


def test_a_wait_outlives_a_restart_of_the_api_server(tmp_path: Path) -> None:
    arguments = ("--crds", str(ROOT / "crds"), "--port", str(free_port()))
    with ExitStack() as stack:
        with embedded_server(tmp_path, *arguments) as server:
            scene = Scene(server)
            scene.do(lambda client: client.create(NAMESPACES, NAMESPACE))
            scene.reset(updating())
            process = stack.enter_context(scene.start("status", "web", "-n", "shop"))
            lines_until(process.stdout, "Paused")
        lines_until(process.stderr, "trying again")
        with embedded_server(tmp_path, *arguments):
            scene.status({"phase": "Healthy", "message": None, "pauseConditions": None, "stableRS": "new"})
            out, _ = process.communicate(timeout=BOUND_SECONDS)
    assert (process.returncode, out) == (0, "Healthy\n")


@pytest.mark.parametrize("verb", ["promote", "abort", "retry", "pause", "restart", "undo", "status"])
def test_an_unknown_rollout_is_told_with_its_namespace_and_the_way_to_list(scene: Scene, verb: str) -> None:
    scene.reset()
    _, told = scene.run(verb, "gone", code=1)
    assert told == (
        'coalmine: Rollout "gone" not found in namespace shop; list those there are with '
        "`coalmine get rollouts -n shop`\n"
    )


def test_a_cluster_without_our_kinds_is_told_to_get_them(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as server:
        for words in (("status", "web"), ("get", "rollouts"), ("app", "get", "web")):
            assert "crds/" in Scene(server).run(*words, code=1)[1]


def test_a_user_whom_the_server_does_not_know_is_told(scene: Scene, tmp_path: Path) -> None:
    config = yaml.safe_load(scene.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "wr0ng-token"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    _, told = scene.run("get", "rollouts", code=1, KUBECONFIG=str(path))
    assert "does not know you" in told
    assert "wr0ng" not in told


def test_what_a_user_may_not_do_is_told_in_the_servers_words(scene: Scene, tmp_path: Path) -> None:
    words = 'rollouts.coalmine.dev is forbidden: User "eve" cannot list resource "rollouts"'
    status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": words, "code": 403}

    async def refused() -> tuple[int, str]:
        async with Proxy("http://127.0.0.1:1") as proxy:
            proxy.answer(403, json.dumps(status).encode())
            path = tmp_path / "kubeconfig"
            write_kubeconfig(path, kubeconfig(proxy.url, "", "token", "eve"))
            with scene.start("get", "rollouts", KUBECONFIG=str(path)) as process:
                _, told = await asyncio.to_thread(process.communicate, timeout=BOUND_SECONDS)
                return process.returncode, told

    assert asyncio.run(refused()) == (
        1,
        f"coalmine: you may not do this: {words}; ask for that right, or use another --context\n",
    )
