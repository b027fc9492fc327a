"""Mirrors after bad luck: killed processes, folders of others, words of hosts."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rollout.api.gitrepository import GitRepositorySpec
from rollout.api.validate_git import validate_git_repository
from rollout.controllers.gitjobs import RenderCache
from rollout.domain.sync.objects import Rendered
from rollout.errors import GitError, RemoteUnavailable
from rollout.git.errors import TooLarge, git_failure
from rollout.git.mirror import Mirror
from rollout.git.plumbing import Plumbing
from rollout.git.refs import is_commit
from rollout.git.upkeep import SECRETS_PREFIX, prepare, sweep, used_bytes


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    made = Mirror(tmp_path / "m.git")
    made.initialise()
    return made


def test_locks_and_half_packs_of_killed_processes_go_and_nothing_else(mirror: Mirror) -> None:
    left = ["packed-refs.lock", "refs/coalmine/a/b.lock", "index-1f", "objects/pack/tmp_pack_x", "objects/ab/tmp_obj_x"]
    kept = ["objects/pack/pack-1.pack", "objects/ab/cdef", "refs/coalmine/a/c"]
    for name in left + kept:
        path = mirror.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    sweep(mirror.directory)
    assert [name for name in left if (mirror.directory / name).exists()] == []
    assert [name for name in kept if not (mirror.directory / name).exists()] == []
    assert (mirror.directory / "HEAD").exists()


@pytest.mark.parametrize("part", ["config", "refs", "HEAD"])
def test_a_mirror_of_which_only_a_part_was_made_is_made_whole(mirror: Mirror, part: str) -> None:
    path = mirror.directory / part
    path.unlink() if path.is_file() else path.rename(mirror.directory / "away")
    mirror.initialise()
    assert path.exists()
    assert mirror.git.attempt("rev-parse", "--is-bare-repository").text == "true"


def test_unfinished_packs_count_for_what_a_mirror_takes(mirror: Mirror) -> None:
    before = used_bytes(mirror.directory)
    (mirror.directory / "objects/pack/tmp_pack_x").write_bytes(b"x" * 5000)
    assert used_bytes(mirror.directory) == before + 5000


def test_secrets_that_a_crash_left_are_gone_after_the_next_start(tmp_path: Path) -> None:
    root = tmp_path / "git"
    prepare(root)
    old, fresh = root / f"{SECRETS_PREFIX}old", root / f"{SECRETS_PREFIX}fresh"
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "password").write_text("hunter2")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    prepare(root)
    assert not old.exists()
    assert fresh.exists()


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "git"
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(GitError, match="--data-dir"):
        prepare(root)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("part", ["data", "data/git"])
def test_a_folder_of_another_user_is_refused(tmp_path: Path, part: str) -> None:
    root = tmp_path / "data" / "git"
    root.mkdir(parents=True)
    os.chown(tmp_path / part, 12345, -1)
    with pytest.raises(GitError, match="belongs to another user"):
        prepare(root)


def fake_git(folder: Path, script: str) -> None:
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def is_gone(pid: int) -> bool:
    """Whether a process ended; one that nobody waited for yet counts."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("leader", ["sleep 600", "exit 0"])
def test_a_helper_that_outlives_git_is_ended_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leader: str
) -> None:
    """Git's helpers hold its outputs open, so that git itself may have ended when the time is over."""
    written = tmp_path / "helper"

    def over() -> None:
        if written.exists() and written.read_text().endswith("\n"):
            raise TimeoutError

    fake_git(tmp_path, f"sleep 600 & echo $! >{written}; {leader}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RemoteUnavailable, match="took longer"):
        Plumbing(tmp_path, timeout_seconds=300, guard=over).attempt("fetch")
    helper = int(written.read_text())
    until(lambda: is_gone(helper))


def test_a_process_that_closes_its_outputs_and_stays_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path, "exec >&- 2>&-; exec sleep 600")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RemoteUnavailable, match="took longer"):
        Plumbing(tmp_path, timeout_seconds=1.0).attempt("fetch")


def test_a_guard_ends_what_takes_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise TooLarge("the disk")

    fake_git(tmp_path, f"echo $$ >{tmp_path}/leader; exec sleep 600")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(TooLarge):
        Plumbing(tmp_path, timeout_seconds=300, guard=full).attempt("fetch")
    leader = int((tmp_path / "leader").read_text())
    until(lambda: is_gone(leader))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_words_of_a_host_cannot_steer_a_terminal() -> None:
    error = git_failure("push", "", "remote: \x1b]0;owned\x07 no\u202e \x9b31m")
    assert all(ch.isprintable() for ch in str(error))
    assert "owned" in str(error)


def test_a_commit_id_ends_with_its_last_digit() -> None:
    assert is_commit("a" * 40)
    assert not is_commit("a" * 40 + "\n")
    assert not is_commit("a" * 41)


@pytest.mark.parametrize(
    "url",
    [
        'https://x"].example.com/shop.git',
        "https://[::1%25eth0]/shop.git",
        "https://a$(id)/shop.git",
        "https://-oProxyCommand/shop.git",
        "https://host:secret-word/shop.git",
    ],
)
def test_a_host_that_is_no_name_is_refused_and_nothing_of_it_is_repeated(url: str) -> None:
    spec = msgspec.convert({"url": url, "ref": {"branch": "main"}}, GitRepositorySpec)
    problems = validate_git_repository(spec)
    assert problems
    assert "secret-word" not in str(problems)


def test_renders_are_kept_up_to_a_number_of_bytes() -> None:
    cache = RenderCache()
    for number in range(20):
        render = Rendered("c", (), frozenset(), "", "", size_bytes=30 * 1024**2)
        cache.put((str(number),), render)
    kept = [number for number in range(20) if cache.get((str(number),)) is not None]
    assert kept == list(range(12, 20))
