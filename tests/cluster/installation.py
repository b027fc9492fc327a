"""The chart, rendered by Helm and applied: the operator of the cluster tests has the rights it gives, and no more."""

from typing import Any

from rollout.kube.client import KubeClient
from rollout.kube.resources import Resource
from tests.chart.rendering import Release, render

Json = dict[str, Any]
NAMESPACE = "coalmine-system"
ACCOUNT = "coalmine"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
CRD = "CustomResourceDefinition"
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
TOKEN_SECONDS = 24 * 3600
VALUES: Json = {
    "rbac": {
        "secrets": {"clusterWide": True},
        "applications": {
            "clusterWide": True,
            "resources": [
                {"apiGroup": "coalmine.dev", "resources": ["rollouts", "analysistemplates"]},
                {"apiGroup": "", "resources": ["services", "configmaps"]},
                {"apiGroup": "gateway.networking.k8s.io", "resources": ["httproutes"]},
            ],
        },
    },
}
"""Stories come with a namespace of their own each, with credentials in it, and with an Application that applies."""


def release() -> Release:
    """What the chart makes."""
    return render(VALUES, name=ACCOUNT, namespace=NAMESPACE)


def definitions(installed: Release) -> list[Json]:
    """Its CRDs."""
    return installed.of(CRD)


async def install(client: KubeClient, installed: Release) -> str:
    """Apply all but the CRDs, to a namespace that admits only restricted pods; returns a token of the account."""
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": enforced}}
    await client.apply(NAMESPACES, namespace, manager="helm", force=True)
    for obj in (one for one in installed.objects if one["kind"] != CRD):
        resource = await client.discover(obj["apiVersion"], obj["kind"])
        assert resource is not None, f"{obj['kind']} of {obj['apiVersion']} is not served"
        await client.apply(resource, obj, manager="helm", force=True)
    return await _token(client)


async def _token(client: KubeClient) -> str:
    asked: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    asked["spec"] = {"expirationSeconds": TOKEN_SECONDS}
    answer = await client.create_subresource(SERVICE_ACCOUNTS, NAMESPACE, ACCOUNT, "token", asked)
    return str(answer["status"]["token"])
