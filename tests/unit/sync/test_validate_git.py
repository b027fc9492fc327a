"""Validation of GitRepository and Application: every problem names its field; nothing is silently ignored."""

from typing import Any

import msgspec
import pytest

from analysis.errors import NotSupportedYet
from rollout.api.application import ApplicationSpec
from rollout.api.gitrepository import GitRepositorySpec
from rollout.api.validate_git import validate_application, validate_git_repository

REPOSITORY: dict[str, Any] = {"url": "https://example.com/shop.git", "ref": {"branch": "main"}}
SOURCE: dict[str, Any] = {"repositoryRef": {"name": "shop"}, "path": "apps/web"}


def fields(**changes: Any) -> list[str]:
    spec = msgspec.convert({**REPOSITORY, **changes}, GitRepositorySpec)
    return [problem.field for problem in validate_git_repository(spec)]


def application_fields(**changes: Any) -> list[str]:
    spec = msgspec.convert({"source": SOURCE, **changes}, ApplicationSpec)
    return [problem.field for problem in validate_application(spec)]


def test_a_plain_repository_and_a_plain_application_have_no_problems() -> None:
    assert fields() == []
    assert application_fields() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x.git", "http://[::1]:1/x.git", "http://localhost/x.git"])
def test_http_is_for_loopback(url: str) -> None:
    assert fields(url=url) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x.git",
        "https://user:pass@example.com/x.git",
        "ssh://git@example.com/x.git",
        "git@example.com:x.git",
        "file:///etc",
        "ext::sh -c id",
        "/etc/passwd",
        "https://",
        "https://example.com/x.git?ref=main",
        "https://example.com:notaport/x.git",
        "--upload-pack=evil",
        "https://example.com/a b",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    assert {field.split(" ")[0] for field in fields(url=url)} == {"spec.url"}


@pytest.mark.parametrize("ref", [{}, {"branch": "a", "tag": "b"}, {"branch": "a", "commit": "0" * 40}])
def test_exactly_one_ref_is_wanted(ref: dict[str, str]) -> None:
    assert fields(ref=ref) == ["spec.ref"]


@pytest.mark.parametrize(
    "name", ["--output=/tmp/x", "a..b", "a b", "", "x.lock", "/x", "x/", "a\nb", "@{-1}", "a:b", "."]
)
def test_a_name_that_git_would_misread_is_refused(name: str) -> None:
    assert fields(ref={"branch": name}) == ["spec.ref.branch"]


def test_the_secret_for_writing_is_another_one() -> None:
    write = {"secretRef": {"name": "same"}}
    assert fields(secretRef={"name": "same"}, write=write) == ["spec.write.secretRef"]
    assert fields(secretRef={"name": "read"}, write=write) == []
    assert fields(ref={"tag": "v1"}, write=write) == ["spec.write"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ref": {"semver": ">=1"}}, "spec.ref.semver"),
        ({"verify": {"secretRef": {"name": "x"}}}, "spec.verify"),
        ({"host": {"type": "GitHub"}}, "spec.host"),
        ({"submodules": True}, "spec.submodules"),
        ({"lfs": True}, "spec.lfs"),
    ],
)
def test_what_a_repository_cannot_do_yet_is_said(changes: dict[str, Any], field: str) -> None:
    spec = msgspec.convert({**REPOSITORY, **changes}, GitRepositorySpec)
    problems = validate_git_repository(spec)
    assert [problem.field for problem in problems] == [field]
    assert isinstance(problems[0], NotSupportedYet)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source": {**SOURCE, "helm": {}}}, "spec.source.helm"),
        ({"destination": {"kubeConfig": {"secretRef": {"name": "x"}}}}, "spec.destination.kubeConfig"),
        ({"serviceAccountName": "x"}, "spec.serviceAccountName"),
        ({"dependsOn": [{"name": "x"}]}, "spec.dependsOn"),
        ({"deletionPolicy": "Delete"}, "spec.deletionPolicy"),
        ({"sync": {"windows": [{"schedule": "* * * * *", "duration": "1h"}]}}, "spec.sync.windows"),
        ({"revert": {"mode": "PullRequest"}}, "spec.revert.mode"),
        ({"revert": {"mode": "Pin"}}, "spec.revert.mode"),
        ({"imageUpdates": [{"image": "x", "policy": {}, "writeTo": {"file": "y"}}]}, "spec.imageUpdates"),
    ],
)
def test_what_an_application_cannot_do_yet_is_said(changes: dict[str, Any], field: str) -> None:
    spec = msgspec.convert({"source": SOURCE, **changes}, ApplicationSpec)
    problems = validate_application(spec)
    assert [problem.field for problem in problems] == [field]
    assert isinstance(problems[0], NotSupportedYet)


@pytest.mark.parametrize("path", ["/apps", "../x", "a/../../x", "a//b", "./a", "a/./b"])
def test_a_path_stays_in_the_repository_and_has_one_spelling(path: str) -> None:
    assert application_fields(source={**SOURCE, "path": path}) == ["spec.source.path"]


def test_every_problem_is_reported_at_once() -> None:
    found = application_fields(
        source={**SOURCE, "path": "/x", "kustomize": {}, "directory": {}},
        dependsOn=[{"name": "x"}],
        sync={"pruneLimit": "200%"},
    )
    assert found == ["spec.source", "spec.source.path", "spec.sync.pruneLimit", "spec.dependsOn"]
