"""Credentials reach git through private files only, for one host only, and are gone afterwards."""

import base64
import subprocess
from pathlib import Path

import pytest

from rollout.errors import InvalidSpec, NotSupportedYet
from rollout.git.credentials import Credentials, as_environment, credentials_from_secret
from rollout.git.errors import RevisionNotFound, Unauthorized, git_failure
from rollout.git.plumbing import Plumbing, environment
from rollout.git.signing import signing_key_from_secret

URL = "https://git.example.com:8443/acme/shop.git"


def secret(**values: str) -> dict[str, str]:
    return {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in values.items()}


def test_both_forms_are_read() -> None:
    assert credentials_from_secret(secret(username="u", password="p"), "x") == Credentials("u", "p")
    assert credentials_from_secret(secret(bearerToken="t\n", ca_crt="pem"), "x") == Credentials("", "", "t", "pem")


@pytest.mark.parametrize(
    "data",
    [
        {},
        secret(username="u"),
        secret(password="p"),
        secret(username="u", password="p", bearerToken="t"),
        secret(username="u", password="a\nb"),
        secret(bearerToken='a"b'),
        {"username": "not base64!"},
        {"username": base64.b64encode(b"\xff").decode()},
        secret(username="u", password="x" * 70_000),
    ],
)
def test_incomplete_or_dangerous_secrets_are_refused_without_their_values(data: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec) as caught:
        credentials_from_secret(data, "spec.secretRef")
    assert "xxxx" not in str(caught.value)


@pytest.mark.parametrize("key", ["identity", "githubAppID", "tls_key"])
def test_what_is_not_built_yet_is_said(key: str) -> None:
    with pytest.raises(NotSupportedYet):
        credentials_from_secret(secret(**{key: "x"}), "spec.secretRef")


def test_the_helper_answers_for_its_host_and_no_other() -> None:
    with as_environment(Credentials("u", "p'$(id)"), URL) as variables:
        helper = Path(variables["GIT_ASKPASS"])
        assert helper.stat().st_mode & 0o777 == 0o700
        assert {f.stat().st_mode & 0o077 for f in helper.parent.iterdir()} == {0}

        def ask(prompt: str) -> tuple[int, str]:
            done = subprocess.run([str(helper), prompt], capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

        assert ask("Username for 'https://git.example.com:8443': ") == (0, "u")
        assert ask("Password for 'https://u@git.example.com:8443': ") == (0, "p'$(id)")
        assert ask("Password for 'https://u@evil.example.com': ")[0] == 1
        assert ask("Password for 'https://u@git.example.com': ")[0] == 1
        assert ask("Password for 'https://u@evil-git.example.com:8443': ")[0] == 1
        assert ask("Username for 'https://evil-git.example.com:8443': ")[0] == 1
    assert not helper.exists()


def test_secrets_are_in_no_repr_no_variable_and_no_message() -> None:
    credentials = Credentials("u", "hunter2", "", "")
    assert "hunter2" not in repr(credentials)
    with as_environment(credentials, URL) as variables:
        assert "hunter2" not in str(variables)
    with as_environment(Credentials(bearer_token="tok-9"), URL) as variables:
        assert "tok-9" not in str(variables)
    git = Plumbing(Path("/nowhere"), secrets=credentials.secrets)
    assert git.scrub("https://u:hunter2@x and dTpodW50ZXIy") == "https://u:***@x and ***"


def test_the_environment_of_git_is_closed() -> None:
    env = environment(Path("/m.git"), {}, {})
    pairs = {env[f"GIT_CONFIG_KEY_{n}"]: env[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(env["GIT_CONFIG_COUNT"]))}
    assert env["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert env["GIT_ALLOW_PROTOCOL"] == "http:https"
    assert pairs["core.hooksPath"] == "/dev/null"
    assert pairs["http.followRedirects"] == "false"
    assert pairs["protocol.allow"] == "never"


@pytest.mark.parametrize("url", ["ext::sh -c 'touch /tmp/owned'", "file:///etc", "ssh://git@127.0.0.1/x"])
def test_git_itself_refuses_other_protocols(tmp_path: Path, url: str) -> None:
    Plumbing(tmp_path / "m.git").run("init", "-q", "--bare", "--", str(tmp_path / "m.git"))
    answer = Plumbing(tmp_path / "m.git").attempt("ls-remote", "--", url)
    assert answer.code != 0
    assert "not allowed" in answer.stderr


def test_messages_say_what_why_and_what_next_without_the_urls_credentials() -> None:
    error = git_failure("fetch", "https://u:p@git.example.com/x", "fatal: Authentication failed for 'https://...'")
    assert isinstance(error, Unauthorized)
    assert str(error).startswith("fetch of https://git.example.com/x failed: the host refused our credentials")
    assert "u:p" not in str(error)
    assert isinstance(git_failure("fetch", "", "fatal: couldn't find remote ref refs/heads/x"), RevisionNotFound)


@pytest.mark.parametrize("text", ["", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"])
def test_a_key_that_cannot_sign_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        signing_key_from_secret(secret(identity=text), "spec.write.signing.secretRef")
    assert "AAAA" not in str(caught.value)
