"""Where objects are asked for: a name never leads out of its namespace."""

import pytest

from rollout.errors import InvalidSpec
from rollout.kube.resources import SECRETS


@pytest.mark.parametrize(
    "name", ["../../kube-system/secrets/admin", "..", ".", "a%2fb", "a?watch=1", "a#b", "a\\b", "a b"]
)
def test_a_name_that_would_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidSpec, match="is no name"):
        SECRETS.path("shop", name)
    with pytest.raises(InvalidSpec, match="is no name"):
        SECRETS.path(name, "token")


def test_names_as_the_api_server_takes_them_pass() -> None:
    assert SECRETS.path("shop", "system:node.a-1") == "/api/v1/namespaces/shop/secrets/system:node.a-1"
    assert SECRETS.path(None) == "/api/v1/secrets"
