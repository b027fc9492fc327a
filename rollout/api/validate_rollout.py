"""What is wrong with a Rollout's spec by itself: every problem with its field and a remedy."""

from collections.abc import Iterator

from analysis.errors import InvalidSpec, NotSupportedYet
from rollout.api.meta import LabelSelector
from rollout.api.rollout import CanaryStrategy, RolloutSpec
from rollout.api.steps import CanaryStep
from rollout.api.values import duration_seconds, int_or_percent

STEPS_MAX = 100
_CANARY = "spec.strategy.canary"


def validate_rollout(spec: RolloutSpec) -> tuple[InvalidSpec, ...]:
    """All problems of a spec; none: it can be carried out."""
    return (*_general(spec), *_strategy(spec), *_template(spec))


def _general(spec: RolloutSpec) -> Iterator[InvalidSpec]:
    if spec.workload_ref is not None:
        yield NotSupportedYet("spec.workloadRef", "write the pods under spec.template")
    if spec.selector is None or not (spec.selector.match_labels or spec.selector.match_expressions):
        yield InvalidSpec("spec.selector", "is missing", "write the labels of the template under matchLabels")
    deadline = spec.progress_deadline_seconds
    if deadline is not None and deadline <= spec.min_ready_seconds:
        yield InvalidSpec(
            "spec.progressDeadlineSeconds",
            f"{deadline} is not greater than minReadySeconds ({spec.min_ready_seconds})",
            "raise it, or lower minReadySeconds",
        )


def _template(spec: RolloutSpec) -> Iterator[InvalidSpec]:
    pod = spec.template.get("spec") or {}
    if not pod.get("containers"):
        yield InvalidSpec("spec.template.spec.containers", "is empty", "add the container to run")
    labels = (spec.template.get("metadata") or {}).get("labels") or {}
    if spec.selector is not None and not matches(spec.selector, labels):
        yield InvalidSpec(
            "spec.template.metadata.labels", "do not match spec.selector", "give the template the selector's labels"
        )


def matches(selector: LabelSelector, labels: dict[str, str]) -> bool:
    """Whether labels satisfy a selector."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for expression in selector.match_expressions:
        present, value = expression.key in labels, labels.get(expression.key, "")
        holds = {
            "In": present and value in expression.values,
            "NotIn": value not in expression.values,
            "Exists": present,
            "DoesNotExist": not present,
        }
        if not holds[expression.operator]:
            return False
    return True


def _strategy(spec: RolloutSpec) -> Iterator[InvalidSpec]:
    strategy = spec.strategy
    if strategy.blue_green is not None:
        yield NotSupportedYet("spec.strategy.blueGreen", "use spec.strategy.canary")
    elif strategy.canary is None:
        yield InvalidSpec("spec.strategy", "names no strategy", "add canary: {}")
    else:
        yield from _canary(strategy.canary, 1 if spec.replicas is None else spec.replicas)


def _canary(canary: CanaryStrategy, replicas: int) -> Iterator[InvalidSpec]:
    yield from _unsupported(canary)
    yield from _routing(canary)
    for field, value in (("maxSurge", canary.max_surge), ("maxUnavailable", canary.max_unavailable)):
        try:
            int_or_percent(value, replicas, default="25%", round_up=True, field=f"{_CANARY}.{field}")
        except InvalidSpec as problem:
            yield problem
    if len(canary.steps) > STEPS_MAX:
        yield InvalidSpec(f"{_CANARY}.steps", f"has {len(canary.steps)} steps", f"write at most {STEPS_MAX}")
    for index, step in enumerate(canary.steps[:STEPS_MAX]):
        yield from _step(canary, step, f"{_CANARY}.steps[{index}]")


def _unsupported(canary: CanaryStrategy) -> Iterator[InvalidSpec]:
    unsupported = {
        "antiAffinity": canary.anti_affinity is not None,
        "dynamicStableScale": canary.dynamic_stable_scale,
        "pingPong": canary.ping_pong is not None,
        "minPodsPerReplicaSet": canary.min_pods_per_replica_set is not None,
        "replicaProgressThreshold": canary.replica_progress_threshold is not None,
    }
    for field, present in unsupported.items():
        if present:
            yield NotSupportedYet(f"{_CANARY}.{field}", "leave it out")


def _routing(canary: CanaryStrategy) -> Iterator[InvalidSpec]:
    if canary.canary_service and canary.canary_service == canary.stable_service:
        yield InvalidSpec(f"{_CANARY}.canaryService", "is the stableService too", "make two Services")
    routing = canary.traffic_routing
    if routing is None:
        return
    path = f"{_CANARY}.trafficRouting"
    others = ("istio", "nginx", "alb", "smi", "ambassador", "app_mesh", "traefik", "apisix")
    for name in others:
        if getattr(routing, name) is not None:
            yield NotSupportedYet(f"{path}.{_camel(name)}", "use gatewayAPI, or replica counts without trafficRouting")
    for field, present in (("plugins", routing.plugins), ("managedRoutes", routing.managed_routes)):
        if present:
            yield NotSupportedYet(f"{path}.{field}", "leave it out")
    if routing.max_traffic_weight is not None:
        yield NotSupportedYet(f"{path}.maxTrafficWeight", "weights are percentages")
    if routing.gateway_api is not None:
        yield from _gateway(canary, f"{path}.gatewayAPI")
    elif all(getattr(routing, name) is None for name in others) and not routing.plugins:
        yield InvalidSpec(path, "names no router", "add gatewayAPI, or leave trafficRouting out")


def _gateway(canary: CanaryStrategy, path: str) -> Iterator[InvalidSpec]:
    gateway = canary.traffic_routing and canary.traffic_routing.gateway_api
    if not gateway:
        return
    for field, value in (("stableService", canary.stable_service), ("canaryService", canary.canary_service)):
        if not value:
            yield InvalidSpec(f"{_CANARY}.{field}", "is missing", "a router needs a Service for each arm")
    for field, routes in (("grpcRoutes", gateway.grpc_routes), ("tcpRoutes", gateway.tcp_routes)):
        if routes:
            yield NotSupportedYet(f"{path}.{field}", "use httpRoutes")
    if gateway.tls_routes:
        yield NotSupportedYet(f"{path}.tlsRoutes", "use httpRoutes")
    if gateway.namespace:
        yield NotSupportedYet(f"{path}.namespace", "keep the route in the Rollout's namespace")
    if any(route.use_header_routes for route in gateway.http_routes):
        yield NotSupportedYet(f"{path}.httpRoutes.useHeaderRoutes", "leave it out")
    if not gateway.http_routes and not gateway.http_route:
        yield InvalidSpec(f"{path}.httpRoutes", "is empty", "name the HTTPRoute that carries both Services")


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _step(canary: CanaryStrategy, step: CanaryStep, path: str) -> Iterator[InvalidSpec]:
    kinds = [name for name in CanaryStep.__struct_fields__ if getattr(step, name) is not None]
    if len(kinds) != 1:
        found = ", ".join(map(_camel, kinds)) or "nothing"
        yield InvalidSpec(path, f"must be exactly one step, has {found}", "write one kind a step")
        return
    for name in ("experiment", "analysis", "set_canary_scale", "set_header_route", "set_mirror_route", "plugin"):
        if name in kinds:
            yield NotSupportedYet(f"{path}.{_camel(name)}", "use setWeight, pause or verify")
    if step.set_weight is not None and step.set_weight > 100:
        yield InvalidSpec(f"{path}.setWeight", f"{step.set_weight} is more than 100", "write a percentage")
    if step.pause is not None:
        yield from _duration(step.pause.duration, f"{path}.pause.duration")
    if step.verify is not None:
        yield from _duration(step.verify.timeout, f"{path}.verify.timeout")
        if canary.analysis is None or not canary.analysis.templates:
            remedy = f"add {_CANARY}.analysis"
            yield InvalidSpec(f"{path}.verify", "there is no background analysis to prove anything", remedy)


def _duration(value: int | str | None, path: str) -> Iterator[InvalidSpec]:
    if value is None:
        return
    try:
        negative = duration_seconds(value) < 0
    except ValueError:
        yield InvalidSpec(path, f"{value!r} is no duration", 'write seconds, or "10m", "1h30m"')
        return
    if negative:
        yield InvalidSpec(path, f"{value!r} is negative", "write a time to wait")
