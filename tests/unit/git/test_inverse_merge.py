"""The cases of a path-scoped inverse three-way merge, with real git on real repositories."""

from pathlib import Path

import pytest

from rollout.git.mirror import Mirror, Remote
from rollout.git.revert import (
    AlreadyReverted,
    Conflicting,
    InverseMerge,
    Merged,
    NothingToRevert,
    OutsidePaths,
    Rewritten,
    invert,
)
from tests.support.git_work import Work

WEB, API = "apps/web/rollout.yaml", "apps/api/x.yaml"


def manifest(tag: str, *, replicas: int = 2, cpu: str = "100m") -> str:
    lines = ["kind: Rollout", "spec:", f"  replicas: {replicas}", "  a: 1", "  b: 2", "  c: 3", "  template:"]
    return "\n".join([*lines, f"    image: app:{tag}", "    d: 1", "    e: 2", "    f: 3", f"    cpu: {cpu}", ""])


class Bench:
    def __init__(self, folder: Path) -> None:
        self.work = Work(folder / "origin.git", folder / "work")
        self.mirror = Mirror(folder / "mirror.git")
        self.mirror.initialise()

    def invert(self, good: str, bad: str, prefix: str = "apps/web/") -> InverseMerge:
        # Plumbing refuses the file protocol, so the test brings the objects over itself.
        self.work.git("push", "-q", "-f", str(self.mirror.directory), "HEAD:refs/coalmine/heads/main")
        self.head = self.mirror.resolve("refs/coalmine/heads/main")
        changed = self.mirror.changed_paths(good, bad)
        return invert(self.mirror, self.head, good, bad, {path for path in changed if path.startswith(prefix)})

    def text(self, outcome: InverseMerge, path: str) -> str | None:
        assert isinstance(outcome, Merged), outcome
        entries = [entry for entry in self.mirror.files(outcome.tree) if entry.path == path]
        return self.mirror.read(entries, 1 << 20)[path].decode() if entries else None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_unrelated_commits_on_top_stay(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1"), API: "1\n"})
    bad = bench.work.commit("bad", {WEB: manifest("v2")})
    for number in range(3):
        bench.work.commit(f"other {number}", {API: f"{number + 2}\n"})
    outcome = bench.invert(good, bad)
    assert bench.text(outcome, WEB) == manifest("v1")
    assert bench.text(outcome, API) == "4\n"


def test_of_a_merged_pull_request_only_our_path_is_inverted(bench: Bench) -> None:
    work = bench.work
    good = work.commit("good", {WEB: manifest("v1"), API: "1\n"})
    work.git("checkout", "-q", "-b", "pr")
    work.commit("p1", {WEB: manifest("v2")}, push=False)
    work.commit("p2", {"apps/web/cm.yaml": "new\n"}, push=False)
    work.commit("p3", {API: "pr\n"}, push=False)
    work.git("checkout", "-q", "main")
    work.commit("docs", {"docs/a": "1"}, push=False)
    work.git("merge", "-q", "--no-ff", "-m", "Merge PR", "pr")
    bad = work.head()
    work.commit("later", {"apps/api/y.yaml": "z\n"})
    outcome = bench.invert(good, bad)
    assert bench.text(outcome, WEB) == manifest("v1")
    assert bench.text(outcome, "apps/web/cm.yaml") is None
    assert bench.text(outcome, API) == "pr\n"
    assert bench.text(outcome, "apps/api/y.yaml") == "z\n"


def test_an_interleaved_batch_is_inverted_as_a_whole(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1")})
    bench.work.commit("b1", {WEB: manifest("v2a")})
    bench.work.commit("unrelated", {"x": "1"})
    bad = bench.work.commit("b2", {WEB: manifest("v2", replicas=5)})
    bench.work.commit("unrelated 2", {"x": "2"})
    outcome = bench.invert(good, bad)
    assert bench.text(outcome, WEB) == manifest("v1")
    assert bench.text(outcome, "x") == "2"


def test_added_and_deleted_files_are_inverted(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1"), "apps/web/old.yaml": "old\n"})
    bad = bench.work.commit("bad", {WEB: manifest("v2"), "apps/web/new.yaml": "n\n"}, remove=["apps/web/old.yaml"])
    outcome = bench.invert(good, bad)
    assert bench.text(outcome, "apps/web/old.yaml") == "old\n"
    assert bench.text(outcome, "apps/web/new.yaml") is None


def test_a_human_edit_elsewhere_in_the_same_file_is_kept(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1")})
    bad = bench.work.commit("bad", {WEB: manifest("v2")})
    bench.work.commit("human", {WEB: manifest("v2", cpu="200m")})
    assert bench.text(bench.invert(good, bad), WEB) == manifest("v1", cpu="200m")


def test_a_change_that_a_human_reverted_is_recognised(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1")})
    bad = bench.work.commit("bad", {WEB: manifest("v2")})
    bench.work.git("revert", "--no-edit", "HEAD")
    assert bench.invert(good, bad) == AlreadyReverted()


def test_a_fix_forward_is_a_conflict_that_names_the_file(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1")})
    bad = bench.work.commit("bad", {WEB: manifest("v2")})
    bench.work.commit("fix forward", {WEB: manifest("v3")})
    assert bench.invert(good, bad) == Conflicting((WEB,))


def test_an_edit_of_the_next_line_is_a_conflict(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: "image: app:v1\nreplicas: 2\n"})
    bad = bench.work.commit("bad", {WEB: "image: app:v2\nreplicas: 2\n"})
    bench.work.commit("human", {WEB: "image: app:v2\nreplicas: 9\n"})
    assert bench.invert(good, bad) == Conflicting((WEB,))


def test_an_app_that_was_deleted_since_is_a_conflict(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1"), "keep": "1"})
    bad = bench.work.commit("bad", {WEB: manifest("v2")})
    bench.work.commit("deleted", remove=[WEB])
    assert isinstance(bench.invert(good, bad), Conflicting)


def test_a_file_that_was_moved_out_of_the_path_is_left_alone(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1")})
    bad = bench.work.commit("bad", {WEB: manifest("v2")})
    (bench.work.folder / "apps/web2").mkdir()
    bench.work.git("mv", WEB, "apps/web2/rollout.yaml")
    bench.work.commit("move")
    assert bench.invert(good, bad) == OutsidePaths(("apps/web2/rollout.yaml",))


def test_a_sibling_application_in_the_same_commit_is_kept(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1"), API: "1\n"})
    bad = bench.work.commit("both", {WEB: manifest("v2"), API: "2\n"})
    outcome = bench.invert(good, bad)
    assert bench.text(outcome, WEB) == manifest("v1")
    assert bench.text(outcome, API) == "2\n"
    assert isinstance(outcome, Merged)
    assert outcome.changed == {WEB}


def test_without_a_difference_there_is_nothing_to_revert(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1"), API: "1\n"})
    bad = bench.work.commit("bad", {API: "2\n"})
    assert bench.invert(good, bad) == NothingToRevert()


def test_a_rewritten_branch_is_told_apart(bench: Bench) -> None:
    good = bench.work.commit("good", {WEB: manifest("v1")})
    bad = bench.work.commit("bad", {WEB: manifest("v2")})
    bench.invert(good, bad)
    bench.work.git("reset", "-q", "--hard", good)
    bench.work.commit("another history", {WEB: manifest("v2")}, push=False)
    assert bench.invert(good, bad) == Rewritten()


def test_paths_with_spaces_and_umlauts_survive(bench: Bench) -> None:
    path = "apps/web/gr\u00f6\u00dfe mit leer.yaml"
    good = bench.work.commit("good", {path: manifest("v1")})
    bad = bench.work.commit("bad", {path: manifest("v2")})
    assert bench.text(bench.invert(good, bad), path) == manifest("v1")


def test_a_remote_does_not_show_its_credentials() -> None:
    assert "secret" not in repr(Remote("https://example.com/x.git"))
