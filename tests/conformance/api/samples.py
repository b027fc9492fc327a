"""Objects that the tests send."""

from typing import Any

Object = dict[str, Any]


def widget(name: str, spec: Object | None = None, **metadata: Any) -> Object:
    body: Object = {"apiVersion": "lab.coalmine.dev/v1", "kind": "Widget", "metadata": {"name": name, **metadata}}
    return {**body, "spec": {"replicas": 3} if spec is None else spec}


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


def pod_template(image: str = "registry.example/app:1", **labels: str) -> Object:
    container = {"name": "app", "image": image, "ports": [{"containerPort": 8080}]}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container]}}


def deployment(name: str, **spec: Any) -> Object:
    full = {"selector": {"matchLabels": {"app": name}}, "template": pod_template(app=name), **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": full}


def names(body: Object) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]
