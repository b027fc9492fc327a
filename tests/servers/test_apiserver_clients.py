"""The kubernetes client and a stock kopf operator against the embedded API server, over TLS."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import kopf
import kubernetes
import pytest
import yaml

from tests.conformance.api.conftest import WIDGETS
from tests.conformance.api.samples import deployment, widget
from tests.conformance.client import Api, Reply
from tests.support.api_process import Running, embedded_server

PATH = "/apis/lab.coalmine.dev/v1/namespaces/default/widgets"
SECONDS = 60


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with embedded_server(tmp_path_factory.mktemp("clients"), "--crds", str(WIDGETS)) as server:
        yield server


@pytest.fixture
def client(running: Running) -> Iterator[kubernetes.client.ApiClient]:
    config = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config_from_dict(
        yaml.safe_load(running.kubeconfig.read_text()), client_configuration=config
    )
    with kubernetes.client.ApiClient(config) as one:
        yield one


def test_the_kubernetes_client_creates_lists_and_deletes(client: kubernetes.client.ApiClient) -> None:
    apps = kubernetes.client.AppsV1Api(client)
    created = apps.create_namespaced_deployment("default", deployment("typed", replicas=2))
    assert created.spec.strategy.rolling_update.max_surge == "25%"
    scale = apps.read_namespaced_deployment_scale("typed", "default")
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=typed")
    patch = {"spec": {"replicas": 3}}
    assert apps.patch_namespaced_deployment("typed", "default", patch).spec.replicas == 3
    listed = apps.list_namespaced_deployment("default", field_selector="metadata.name=typed")
    assert [one.metadata.name for one in listed.items] == ["typed"]
    apps.delete_namespaced_deployment("typed", "default")
    with pytest.raises(kubernetes.client.ApiException) as caught:
        apps.read_namespaced_deployment("typed", "default")
    assert caught.value.status == 404


def test_the_kubernetes_client_watches(client: kubernetes.client.ApiClient) -> None:
    core = kubernetes.client.CoreV1Api(client)
    start = core.list_namespaced_config_map("default").metadata.resource_version
    body = {"metadata": {"name": "watched"}, "data": {"a": "b"}}
    core.create_namespaced_config_map("default", body)
    core.delete_namespaced_config_map("watched", "default")
    watch = kubernetes.watch.Watch()
    stream = watch.stream(core.list_namespaced_config_map, "default", resource_version=start, timeout_seconds=SECONDS)
    seen = []
    for event in stream:
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watch.stop()
    assert seen == [("ADDED", "watched"), ("DELETED", "watched")]


def test_the_dynamic_client_applies(client: kubernetes.client.ApiClient) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(client)
    kind = dynamic.resources.get(api_version="lab.coalmine.dev/v1", kind="Widget")
    applied = kind.server_side_apply(
        body=widget("dynamic"), name="dynamic", namespace="default", field_manager="dynamic-test"
    )
    assert applied.spec.mode == "Slow"
    assert applied.metadata.managedFields[0].manager == "dynamic-test"
    kind.delete(name="dynamic", namespace="default")


def _operator(log: list[str]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.create("lab.coalmine.dev", "v1", "widgets", registry=registry)
    def created(spec: Any, patch: Any, **_: Any) -> None:
        log.append(f"created {spec['replicas']}")
        patch.status["phase"] = "Created"

    @kopf.on.update("lab.coalmine.dev", "v1", "widgets", field="spec", registry=registry)
    def updated(spec: Any, patch: Any, **_: Any) -> None:
        log.append(f"updated {spec['replicas']}")
        patch.status["phase"] = "Updated"

    @kopf.on.delete("lab.coalmine.dev", "v1", "widgets", registry=registry)
    def deleted(name: str, **_: Any) -> None:
        log.append(f"deleted {name}")

    return registry


async def _login(running: Running) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(server=running.url, token=running.token, ca_path=str(running.folder / "ca.crt"))


async def _drive(running: Running, log: list[str]) -> None:
    api = Api(running.url, running.token, running.ca_pem)
    registry, stop, ready = _operator(log), asyncio.Event(), asyncio.Event()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _login(running)

    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = False

    async def until(holds: Callable[[Reply], bool]) -> Reply:
        reply = await asyncio.to_thread(api.eventually, f"{PATH}/k", holds, SECONDS)
        assert holds(reply), reply
        return reply

    async with asyncio.TaskGroup() as group:
        group.create_task(kopf.operator(
            registry=registry, settings=settings, stop_flag=stop, ready_flag=ready, namespaces=["default"]
        ))  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS):
                await ready.wait()
            await asyncio.to_thread(api.post, PATH, widget("k", {"replicas": 1}))
            await until(lambda reply: reply.body.get("status") == {"phase": "Created"})
            await asyncio.to_thread(api.patch, f"{PATH}/k", {"spec": {"replicas": 2}})
            updated = await until(lambda reply: reply.body.get("status") == {"phase": "Updated"})
            assert updated.body["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
            await asyncio.to_thread(api.delete, f"{PATH}/k")
            await until(lambda reply: reply.status == 404)
        finally:
            stop.set()


def test_a_stock_kopf_operator_creates_updates_and_deletes(running: Running) -> None:
    log: list[str] = []
    asyncio.run(_drive(running, log))
    assert log == ["created 1", "updated 2", "deleted k"]


def test_an_aiohttp_client_trusts_the_authority(running: Running) -> None:
    async def version() -> str:
        context = ssl.create_default_context(cadata=running.ca_pem)
        async with aiohttp.ClientSession() as session, session.get(f"{running.url}/version", ssl=context) as reply:
            return str((await reply.json())["gitVersion"])

    assert asyncio.run(version()).startswith("v1.")
