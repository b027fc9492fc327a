"""Before a push: what others read must be known, and the premise must still hold."""

from pathlib import Path

import pytest

from rollout.controllers.sharing import Sharing, sharing
from rollout.domain.sync.plan import Blocked, TryAgain
from rollout.errors import LeadershipLost
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES
from tests.support.application_bench import KEY, NORMAL, PLAN, Bench, Json, application, play, repository


def test_a_push_is_wanted_while_nothing_has_changed(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        assert made.pusher.is_wanted(KEY, made.app(), made.repo(), PLAN)

    play(tmp_path, story)


@pytest.mark.parametrize(
    "changed",
    [
        {"suspend": True},
        {"revert": {"mode": "None"}},
        {"uid": "another"},
        {"metadata": {"deletionTimestamp": "2026-11-26T10:00:00Z"}},
        {"status": {"rollouts": []}},
        {"status": "released"},
        {"status": "settled"},
    ],
)
def test_a_push_is_not_wanted_once_its_application_says_otherwise(tmp_path: Path, changed: Json) -> None:
    def story(made: Bench) -> None:
        before, host = made.app(), made.repo()
        status, metadata = changed.get("status"), changed.get("metadata", {})
        live = application(version=2, **{k: v for k, v in changed.items() if k not in {"status", "metadata"}})
        live["metadata"] |= metadata
        if isinstance(status, dict):
            live["status"] = status
        elif status == "released":
            live["status"]["rollouts"][0]["quarantine"][0]["releasedAt"] = "2026-11-26T10:00:00Z"
        elif status == "settled":
            live["status"]["rollouts"][0]["revert"]["phase"] = "Superseded"
        made.put(APPLICATIONS, live)
        assert not made.pusher.is_wanted(KEY, before, host, PLAN)

    play(tmp_path, story)


@pytest.mark.parametrize(
    "changed",
    [{"write": None}, {"suspend": True}, {"url": "https://other.example.com/x"}, {"ref": {"branch": "next"}}],
)
def test_a_push_is_not_wanted_once_its_repository_says_otherwise(tmp_path: Path, changed: Json) -> None:
    def story(made: Bench) -> None:
        host = made.repo()
        made.put(GIT_REPOSITORIES, repository(version=2, **changed))
        assert not made.pusher.is_wanted(KEY, made.app(), host, PLAN)

    play(tmp_path, story)


def test_a_push_asks_the_fence(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        made.fence.append(LeadershipLost("somebody else leads"))
        with pytest.raises(LeadershipLost):
            made.pusher.is_wanted(KEY, made.app(), made.repo(), PLAN)

    play(tmp_path, story)


def test_files_of_others_are_those_of_their_last_render_on_the_same_branch(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        made.put(GIT_REPOSITORIES, repository("next", uid="g2", ref={"branch": "next"}))
        made.put(GIT_REPOSITORIES, repository("same", uid="g3", url=f"{NORMAL}/"))
        others = {"api": "same", "staging": "next", "lost": "missing"}
        for name, ref in others.items():
            made.put(APPLICATIONS, application(name, uid=name, source={"repositoryRef": {"name": ref}}))
            made.workshop.memory(("shop", name), name).closure = (NORMAL, frozenset({f"read/by/{name}"}))
        assert sharing(made.context, made.workshop, KEY, NORMAL, "main") == Sharing(frozenset({"read/by/api"}))

    play(tmp_path, story)


def test_after_a_restart_nothing_is_concluded_from_renders_that_are_not_there(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        made.put(APPLICATIONS, application("api", uid="u2"))
        made.put(APPLICATIONS, application("over", uid="u3", source={"kustomize": {}}))
        found = sharing(made.context, made.workshop, KEY, NORMAL, "main")
        assert found == Sharing(folders=("apps/api",), unknown=("shop/over",))

    play(tmp_path, story)


def test_a_revert_waits_until_it_is_known_what_others_read(tmp_path: Path) -> None:
    async def story(made: Bench) -> None:
        made.put(APPLICATIONS, application("over", uid="u3", source={"kustomize": {}}))
        made.jobs.start_revert(KEY, made.app(), made.repo(), PLAN)
        await made.ended()
        outcome = made.workshop.memory(KEY, "u1").outcomes[PLAN.id]
        assert isinstance(outcome, TryAgain)
        assert outcome.reason == "SharedFilesUnknown"
        assert "shop/over" in outcome.message

    play(tmp_path, story)


def test_a_secret_that_is_missing_may_be_created_later(tmp_path: Path) -> None:
    async def story(made: Bench) -> None:
        made.jobs.start_revert(KEY, made.app(), made.repo(), PLAN)
        await made.ended()
        outcome = made.workshop.memory(KEY, "u1").outcomes[PLAN.id]
        assert not isinstance(outcome, Blocked)
        assert isinstance(outcome, TryAgain)
        assert (outcome.reason, "Secret write does not exist" in outcome.message) == ("InvalidSecret", True)

    play(tmp_path, story)
