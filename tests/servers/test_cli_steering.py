"""The command steers a Rollout by exactly the patches that Argo's does, and goes back to earlier revisions."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rollout.api.keys import APPLICATION
from rollout.cli.patches import promotion
from rollout.cli.steer import _carry_out
from rollout.cli.target import Cluster
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.inventory import OWNER
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, REPLICA_SETS, ROLLOUTS, Resource
from tests.support.command import BOUND_SECONDS, Json, Scene, lines_until, stage
from tests.unit.cli.objects import healthy, replica_set, template, updating

OLD = template("demo:1", ports=[{"name": "http", "containerPort": 8080, "protocol": "TCP"}])
SETS = (
    (REPLICA_SETS, replica_set("old", 1, OLD, defaulted=False)),
    (REPLICA_SETS, replica_set("new", 2, template("demo:2"))),
)
APP = {"metadata": {"name": "web"}, "spec": {"source": {"repositoryRef": {"name": "config"}, "path": "apps/web"}}}
REPOSITORY = {
    "metadata": {"name": "config"},
    "spec": {"url": "https://git.example.com/config.git", "ref": {"branch": "main"}},
}
# The command gives up after ten seconds; this one waits for a hand that is slow, until the scene ends it.
PATIENT = f"""\
import sys
from rollout.cli import main, steer
steer.UNSEEN_SECONDS = {BOUND_SECONDS}
sys.exit(main.main())
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with stage(tmp_path_factory.mktemp("cli")) as made:
        yield made


def test_promote_at_a_pause_clears_it(scene: Scene) -> None:
    scene.reset(updating())
    out, told = scene.run("promote", "web")
    assert out == "Rollout web: ended the pause (CanaryPauseStep)\n"
    assert told == "watch it: coalmine get rollout web -n shop -w\n"
    status = scene.live["status"]
    assert "pauseConditions" not in status
    assert status["currentStepIndex"] == 1


def test_promote_without_a_pause_skips_the_step_and_full_asks_for_the_rest(scene: Scene) -> None:
    scene.reset(updating(pauseConditions=[], phase="Progressing", currentStepIndex=2))
    scene.run("promote", "web")
    assert scene.live["status"]["currentStepIndex"] == 3
    scene.run("promote", "web", "--full")
    assert scene.live["status"]["promoteFull"] is True


def test_promote_of_a_healthy_rollout_says_so_and_writes_nothing(scene: Scene) -> None:
    scene.reset(healthy())
    before = scene.live["metadata"]["resourceVersion"]
    out, _ = scene.run("promote", "web")
    assert "nothing to promote" in out
    assert scene.live["metadata"]["resourceVersion"] == before


def test_pause_and_promote_set_and_clear_the_users_field(scene: Scene) -> None:
    scene.reset(updating(pauseConditions=[]))
    scene.run("pause", "web")
    assert scene.live["spec"]["paused"] is True
    scene.status({"observedGeneration": scene.live["metadata"]["generation"]})
    scene.run("promote", "web")
    assert scene.live["spec"]["paused"] is False
    assert scene.live["status"]["currentStepIndex"] == 1


def test_abort_and_retry_write_the_users_wish(scene: Scene) -> None:
    scene.reset(updating())
    scene.run("abort", "web")
    assert scene.live["status"]["abort"] is True
    _, told = scene.run("promote", "web", code=1)
    assert "Rollout web in namespace shop: its update is aborted" in told
    scene.run("retry", "web")
    assert scene.live["status"]["abort"] is False


def test_restart_names_the_moment_to_come(scene: Scene) -> None:
    scene.reset(healthy())
    scene.run("restart", "web", "--in", "10m")
    at = scene.live["spec"]["restartAt"]
    assert 500 < time.mktime(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime()) <= 600


def test_a_promotion_decides_anew_when_the_status_moved_in_between(scene: Scene) -> None:
    scene.reset(updating(pauseConditions=[], phase="Progressing", currentStepIndex=0))

    class Overtaken(KubeClient):
        """Another writer goes first, once."""

        overtaken = False

        async def merge_patch(self, resource: Resource, *where: Any, **more: Any) -> Json:
            if not self.overtaken:
                self.overtaken = True
                moved = {"status": {"currentStepIndex": 2}}
                await super().merge_patch(ROLLOUTS, "shop", "web", moved, subresource="status")
            return await super().merge_patch(resource, *where, **more)

    async def promote() -> int:
        connection = Connection(str(scene.kubeconfig))
        try:
            cluster = Cluster(connection, Overtaken(connection), "shop")
            return await _carry_out(cluster, "web", lambda rollout: promotion(rollout, full=False))
        finally:
            await connection.close()

    assert asyncio.run(promote()) == 0
    assert scene.live["status"]["currentStepIndex"] == 3, "never back to 1"


def test_steering_waits_for_the_operator_to_see_the_newest_spec(scene: Scene) -> None:
    scene.reset(healthy(observedGeneration=2))
    with scene.start("-c", PATIENT, "promote", "web", "--full", "-n", "shop", program="python") as process:
        lines_until(process.stderr, "still waiting for the operator to see the newest spec of web")
        current = updating()["status"]
        scene.status({**current, "observedGeneration": scene.live["metadata"]["generation"]})
        process.communicate(timeout=BOUND_SECONDS)
        assert process.returncode == 0
        assert scene.live["status"]["promoteFull"] is True


def test_an_operator_that_does_not_run_keeps_nobody_from_aborting(scene: Scene) -> None:
    scene.reset(updating(observedGeneration=2))
    _, told = scene.run("abort", "web")
    assert "has not seen generation" in told
    assert scene.live["status"]["abort"] is True


def test_undo_restores_the_template_as_it_was_written(scene: Scene) -> None:
    scene.reset(healthy(), *SETS)
    kept = scene.do(lambda client: client.get(REPLICA_SETS, "shop", "web-old"))
    assert "terminationGracePeriodSeconds" in kept["spec"]["template"]["spec"], "the server has filled in defaults"
    out, told = scene.run("undo", "web")
    assert out == "Rollout web: goes back to revision 1 (demo:1), through its steps\n"
    assert "defaults" not in told
    assert scene.live["spec"]["template"] == OLD


def test_undo_to_where_it_is_does_nothing_and_to_what_is_not_there_is_refused(scene: Scene) -> None:
    scene.reset(healthy(), *SETS)
    before = scene.live["metadata"]["resourceVersion"]
    assert "already" in scene.run("undo", "web", "--to-revision", "2")[0]
    assert "these are: 2, 1" in scene.run("undo", "web", "--to-revision", "9", code=1)[1]
    assert scene.live["metadata"]["resourceVersion"] == before


def test_undo_of_what_an_application_applies_is_refused_with_the_place_in_git(scene: Scene) -> None:
    live = healthy()
    marks = {OWNER: "shop/web", "coalmine.dev/source-path": "apps/web/rollout.yaml"}
    live["metadata"] = {**live["metadata"], "annotations": marks, "labels": {APPLICATION: "web"}}
    scene.reset(live, *SETS, (APPLICATIONS, APP), (GIT_REPOSITORIES, REPOSITORY))
    before = scene.live["metadata"]["resourceVersion"]
    _, told = scene.run("undo", "web", code=1)
    assert "applied by Application shop/web" in told
    assert "apps/web/rollout.yaml of https://git.example.com/config.git (branch main) in Git" in told
    assert scene.live["metadata"]["resourceVersion"] == before
