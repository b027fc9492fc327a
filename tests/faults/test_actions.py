"""What counts as an action of the operator."""

import pytest
from aiohttp.test_utils import make_mocked_request

from tests.faults.executioner import is_action

OURS = "/apis/coalmine.dev/v1alpha1/namespaces/shop"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", f"{OURS}/rollouts/web/status"),
        ("POST", "/apis/apps/v1/namespaces/shop/replicasets"),
        ("DELETE", "/apis/apps/v1/namespaces/shop/replicasets/web-1"),
        ("PATCH", f"{OURS}/applications/web?fieldManager=coalmine"),
        ("POST", "/shop.git/git-receive-pack"),
    ],
)
def test_writes_and_pushes_are_actions(method: str, path: str) -> None:
    assert is_action(make_mocked_request(method, path), "shop")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{OURS}/rollouts/web"),
        ("GET", "/shop.git/info/refs?service=git-receive-pack"),
        ("POST", "/shop.git/git-upload-pack"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/shop"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/shop/leases/shop"),
        ("POST", "/api/v1/namespaces/shop/events"),
        ("PATCH", "/apis/coalmine.dev/v1alpha1/namespaces/other/rollouts/web/status"),
        ("PATCH", f"{OURS}/rollouts/web?dryRun=All"),
    ],
)
def test_reading_telling_and_electing_are_none(method: str, path: str) -> None:
    assert not is_action(make_mocked_request(method, path), "shop")
