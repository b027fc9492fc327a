"""Errors are one line that says what to do."""

import asyncio
from pathlib import Path

import pytest

from rollout.cli import target
from rollout.cli.main import main
from rollout.errors import ApiError, ApiUnavailable, NotFound
from rollout.kube.connection import LoginFailed, login

CLUSTER = "clusters: [{name: a, cluster: {SERVER}}]\n"
CONFIG = (
    "apiVersion: v1\nkind: Config\n" + CLUSTER + "users: [{name: u, user: {token: s3cr3t}}]\n"
    "contexts: [{name: a, context: {cluster: a, user: u}}]\ncurrent-context: a\n"
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ApiUnavailable("refused"), "does not answer (refused); check --kubeconfig"),
        (ApiError(401, "Unauthorized", "who?"), "does not know you"),
        (ApiError(403, "Forbidden", "rollouts is forbidden"), "you may not do this: rollouts is forbidden"),
        (NotFound(404, "NotFound", "page not found"), "crds/"),
        (ApiError(422, "Invalid", "spec.x is wrong"), "spec.x is wrong"),
    ],
)
def test_an_answer_of_the_server_becomes_advice(error: ApiError, words: str) -> None:
    assert words in target.explained(error, "https://api")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "[]",
        "text",
        "\x00",
        CONFIG.replace("SERVER", ""),
        CONFIG.replace("SERVER", "server: 'https://127.0.0.1:1', certificate-authority-data: AAAA"),
        CONFIG.replace("SERVER", "server: 'https://127.0.0.1:1'").replace("current-context: a", "current-context: b"),
    ],
)
def test_a_kubeconfig_that_is_none_is_told_in_one_line_without_its_secrets(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(LoginFailed):
        login(str(path))
    assert main(["--kubeconfig", str(path), "get", "rollouts"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("coalmine: cannot log in to a cluster")
    assert told.count("\n") == 1
    assert "s3cr3t" not in told


def test_a_missing_kubeconfig_and_an_unknown_context_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kubeconfig"
    assert main(["--kubeconfig", str(path), "status", "web"]) == 1
    path.write_text(CONFIG.replace("SERVER", "server: 'https://127.0.0.1:1'"))
    assert main(["--kubeconfig", str(path), "--context", "nowhere", "status", "web"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(CONFIG.replace("SERVER", "server: 'http://127.0.0.1:1'"))
    assert main(["--kubeconfig", str(path), "get", "rollout", "web"]) == 1
    told = capsys.readouterr().err
    assert "http://127.0.0.1:1 does not answer" in told
    assert told.count("\n") == 1


def test_an_error_of_a_diff_is_not_taken_for_a_difference(tmp_path: Path) -> None:
    assert main(["--kubeconfig", str(tmp_path / "none"), "app", "diff", "web"]) == 2


def test_something_slow_tells_what_it_waits_for_and_still_gives_its_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(target, "QUIET_SECONDS", 0.0)

    async def scene() -> int:
        finish = asyncio.Event()

        async def slow() -> int:
            await finish.wait()
            return 7

        waiting = asyncio.ensure_future(target.patiently(slow(), "reading Rollout web"))
        while "still reading Rollout web" not in (said := capsys.readouterr().err):
            assert not waiting.done(), said
            await asyncio.sleep(0)
        finish.set()
        return await waiting

    assert asyncio.run(scene()) == 7
