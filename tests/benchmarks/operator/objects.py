"""Manifests of the benchmarks."""

from typing import Any

from rollout.kube.resources import ANALYSIS_TEMPLATES, HTTP_ROUTES, ROLLOUTS, Resource

Json = dict[str, Any]
NAMESPACE = "bench"


def named(resource: Resource, name: str, spec: Json) -> Json:
    """An object of the benchmarks' namespace."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def rollout(name: str, image: str, canary: Json, replicas: int = 2, kind: Resource = ROLLOUTS) -> Json:
    """A Rollout whose pods go at once when they are told to."""
    labels = {"app": name}
    container = {"name": "app", "image": image, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    selector = {"matchLabels": labels}
    spec = {"replicas": replicas, "selector": selector, "template": template, "strategy": {"canary": canary}}
    return named(kind, name, spec)


def two_steps(pause_seconds: int) -> Json:
    """Half of the pods, a pause, and all of them."""
    return {"steps": [{"setWeight": 50}, {"pause": {"duration": f"{pause_seconds}s"}}]}


def routed(name: str, analysis: Json) -> Json:
    """Half of a route's traffic, until somebody goes on; judged all the time."""
    traffic = {"gatewayAPI": {"httpRoutes": [{"name": name}]}}
    services = {"stableService": f"{name}-stable", "canaryService": f"{name}-canary"}
    return {**services, "trafficRouting": traffic, "analysis": analysis, "steps": [{"setWeight": 50}, {"pause": {}}]}


def services_and_route(name: str) -> list[Json]:
    """The Services of both arms, and their route."""
    found = [service(f"{name}-{arm}", {"app": name}) for arm in ("stable", "canary")]
    backends = [
        {"name": f"{name}-{arm}", "port": 80, "weight": weight} for arm, weight in (("stable", 100), ("canary", 0))
    ]
    spec = {"parentRefs": [{"name": "edge"}], "hostnames": [f"{name}.localhost"], "rules": [{"backendRefs": backends}]}
    return [*found, named(HTTP_ROUTES, name, spec)]


def service(name: str, selector: Json) -> Json:
    """A Service."""
    metadata = {"name": name, "namespace": NAMESPACE}
    spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def template(address: str) -> Json:
    """An AnalysisTemplate that asks a metrics store every second whether a Rollout is bad."""
    provider = {"prometheus": {"address": address, "query": 'bad{rollout="{{args.name}}"}'}}
    metric = {"name": "bad", "interval": "1s", "failureCondition": "result[0] > 0.5", "provider": provider}
    return named(ANALYSIS_TEMPLATES, "health", {"args": [{"name": "name"}], "metrics": [metric]})
