"""What a GitRepository tells of its credentials for writing."""

import msgspec
import pytest

from rollout.api.gitrepository import GitRepository
from rollout.domain.sync.repository import RepositoryWorld, decide_repository

REPOSITORY = msgspec.convert(
    {
        "metadata": {"name": "config", "namespace": "shop", "uid": "u1", "generation": 1},
        "spec": {
            "url": "https://git.example/shop.git",
            "ref": {"branch": "main"},
            "write": {"secretRef": {"name": "write"}, "author": {"name": "C", "email": "c@example.com"}},
        },
    },
    GitRepository,
)


@pytest.mark.parametrize(
    ("trouble", "status", "reason"),
    [
        ({}, "True", "CredentialsPresent"),
        ({"write_problem": "Secret write does not exist"}, "False", "InvalidSecret"),
        ({"write_refusal": "the host refused our credentials"}, "False", "Unauthorized"),
        ({"reverts_last_hour": 99}, "False", "RateLimited"),
    ],
)
def test_writable_says_why_a_revert_cannot_be_pushed(trouble: dict[str, object], status: str, reason: str) -> None:
    world = RepositoryWorld(REPOSITORY, commit="a" * 40, tried_at=100.0, tried_generation=1, **trouble)  # type: ignore[arg-type]
    found = {c.type: c for c in decide_repository(world, 101.0).status.conditions}
    assert (found["Writable"].status, found["Writable"].reason) == (status, reason)
    words = next((text for text in trouble.values() if isinstance(text, str)), "")
    assert words in found["Writable"].message
