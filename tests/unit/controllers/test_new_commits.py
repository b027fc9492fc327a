"""What a new commit asks of its repository's Applications: those it touches look first, the others take it over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollout.controllers.application_world import source_key
from rollout.controllers.gitrepository import GitRepositoryController
from rollout.domain.sync.objects import Rendered, RenderFailure
from rollout.kube.resources import APPLICATIONS
from tests.support.application_bench import KEY, NORMAL, A, B, Bench, application, fetched, play

OTHER = ("shop", "api")


def remember(made: Bench, key: tuple[str, str], uid: str, commit: str = A) -> Any:
    """Let an Application's render be known."""
    made.put(APPLICATIONS, application(key[1], uid=uid, version=2))
    memory = made.workshop.memory(key, uid)
    path = f"apps/{key[1]}/all.yaml"
    memory.report = Rendered(commit, (), frozenset({path}), "sha256:r", "sha256:c")
    memory.source = source_key(made.app(), NORMAL).replace("apps/web", f"apps/{key[1]}")
    return memory


def tell(made: Bench, changed: frozenset[str] | None) -> list[Any]:
    controller = GitRepositoryController(made.context, made.workshop)
    controller._tell_applications(("shop", "shop"), fetched(B), A, changed)
    return [key for resource, key in made.asked if resource is APPLICATIONS]


def test_those_that_a_commit_touches_look_first_and_the_others_take_it_over(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        web, api = remember(made, KEY, "u1"), remember(made, OTHER, "u2")
        before = api.report
        assert tell(made, frozenset({"apps/api/all.yaml"})) == [OTHER, KEY]
        assert (web.report.commit, api.report) == (B, before)

    play(tmp_path, story)


@pytest.mark.parametrize("what", ["unknown", "source", "commit", "failure", "nothing", "schema"])
def test_a_render_of_something_else_is_not_taken_over(tmp_path: Path, what: str) -> None:
    def story(made: Bench) -> None:
        memory = remember(made, KEY, "u1")
        if what == "source":
            memory.source = "another"
        elif what == "commit":
            memory.report = replace(memory.report, commit="c" * 40)
        elif what == "failure":
            memory.report = RenderFailure(A, "not YAML")
        elif what == "nothing":
            memory.report = None
        elif what == "schema":
            made.put(APPLICATIONS, {**application(version=3), "status": {"rollouts": "none"}})
        before = memory.report
        assert tell(made, None if what == "unknown" else frozenset({"readme"})) == [KEY]
        assert memory.report is before

    play(tmp_path, story)


def test_a_render_is_taken_over_by_the_application_that_was_rendered_only(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        memory = remember(made, KEY, "u1")
        made.put(APPLICATIONS, application(uid="u9", version=3))
        assert tell(made, frozenset({"readme"})) == [KEY]
        assert memory.report.commit == A

    play(tmp_path, story)
