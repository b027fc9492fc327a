"""Renders what Envoy reads: a static bootstrap, routes (RDS), clusters (CDS), and a file of endpoints a cluster."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rollout.sandbox.gateway.model import Backend, Entry, Json, Match, Route, Share

ROUTES_NAME = "sandbox"
MISSING = "missing"
"""No cluster has this name: Envoy answers its share with 500."""
_TYPE = "type.googleapis.com/envoy."
RETRIES = {"retry_on": "connect-failure,reset-before-request", "num_retries": 2}

Address = tuple[str, int]


def bootstrap(port: int, admin_port: int, folder: Path) -> Json:
    """The static part: one listener and the admin interface on 127.0.0.1, everything else from the folder."""
    return {
        "node": {"id": "sandbox", "cluster": "sandbox"},
        "admin": {"address": _socket("127.0.0.1", admin_port)},
        "stats_flush_interval": "0.5s",
        "dynamic_resources": {"cds_config": _source(folder, "cds.json")},
        "static_resources": {
            "listeners": [
                {
                    "name": "http",
                    "address": _socket("127.0.0.1", port),
                    # Without it a second gateway on the same port would take half of the connections silently.
                    "enable_reuse_port": False,
                    "filter_chains": [{"filters": [_connection_manager(folder)]}],
                }
            ]
        },
    }


def _connection_manager(folder: Path) -> Json:
    prefix = _TYPE + "extensions.filters."
    router = {"@type": prefix + "http.router.v3.Router", "suppress_envoy_headers": True}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": prefix + "network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "gateway",
            "codec_type": "AUTO",
            "strip_any_host_port": True,
            "normalize_path": True,
            "rds": {"route_config_name": ROUTES_NAME, "config_source": _source(folder, "rds.json")},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        },
    }


def _socket(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}


def _source(folder: Path, name: str) -> Json:
    return {
        "path_config_source": {"path": str(folder / name), "watched_directory": {"path": str(folder)}},
        "resource_api_version": "V3",
    }


def clusters(backends: Iterable[Backend], folder: Path, version: str) -> Json:
    """CDS: one cluster a backend."""
    return {"version_info": version, "resources": [_cluster(backend, folder) for backend in sorted(backends)]}


def _cluster(backend: Backend, folder: Path) -> Json:
    options = _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "@type": _TYPE + "config.cluster.v3.Cluster",
        "name": backend.name,
        "type": "EDS",
        "connect_timeout": "1s",
        "eds_cluster_config": {"eds_config": _source(folder, endpoints_file(backend))},
        # Below 50 % of healthy endpoints Envoy would send requests to unhealthy ones as well.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                # Shorter than the idle timeout of pods, so that no request meets a connection about to close.
                "common_http_protocol_options": {"idle_timeout": "20s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def endpoints_file(backend: Backend) -> str:
    """The name of the file with a backend's endpoints."""
    return f"eds-{backend.name}.json"


def endpoints(backend: Backend, addresses: Sequence[Address], version: str) -> Json:
    """EDS: the endpoints of a backend; none is fine, Envoy then answers 503."""
    lb_endpoints = [{"endpoint": {"address": _socket(*address)}} for address in addresses]
    assignment = {
        "@type": _TYPE + "config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": backend.name,
        "endpoints": [{"lb_endpoints": lb_endpoints}],
    }
    return {"version_info": version, "resources": [assignment]}


def route_configuration(routes: Sequence[Route], version: str) -> Json:
    """RDS: a virtual host a hostname; within it less specific hostnames come last, as the Gateway API wants it."""
    hostnames = sorted({name for route in routes for name in route.hostnames})
    configuration = {
        "@type": _TYPE + "config.route.v3.RouteConfiguration",
        "name": ROUTES_NAME,
        "virtual_hosts": [{"name": name, "domains": [name], "routes": _routes_of(name, routes)} for name in hostnames],
    }
    return {"version_info": version, "resources": [configuration]}


def _routes_of(hostname: str, routes: Sequence[Route]) -> list[Json]:
    found: list[Json] = []
    for pattern in _patterns(hostname):
        ranked = [
            ((*entry.match.precedence, route.created, route.key, index), entry)
            for route in routes
            if pattern in route.hostnames
            for index, entry in enumerate(route.entries)
        ]
        found += [_route(entry) for _, entry in sorted(ranked, key=lambda pair: pair[0])]
    return found


def _patterns(hostname: str) -> list[str]:
    """The hostname itself and everything less specific that covers it."""
    labels = hostname.removeprefix("*.").split(".")
    wider = ["*." + ".".join(labels[start:]) for start in range(1, len(labels))]
    return [*dict.fromkeys([hostname, *wider, "*"])]


def _route(entry: Entry) -> Json:
    matching = _match(entry.match)
    shares = [share for share in entry.shares if share.weight > 0]
    if not shares:
        return {"match": matching, "direct_response": {"status": 500, "body": {"inline_string": "no backend\n"}}}
    action: Json = {
        "weighted_clusters": {"clusters": _weights(shares)},
        "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
        "retry_policy": RETRIES,
    }
    if entry.timeout_seconds is not None:
        action["timeout"] = f"{entry.timeout_seconds:.3f}s"
    return {"match": matching, "route": action}


def _weights(shares: Sequence[Share]) -> list[Json]:
    return [
        {"name": share.backend.name if share.backend is not None else MISSING, "weight": share.weight}
        for share in shares
    ]


def _match(match: Match) -> Json:
    headers = [(":method", match.method)] if match.method else []
    document: Json = {
        "headers": [{"name": name, "string_match": {"exact": value}} for name, value in [*headers, *match.headers]],
        "query_parameters": [{"name": name, "string_match": {"exact": value}} for name, value in match.queries],
    }
    if match.path_kind == "Exact":
        return document | {"path": match.path}
    return document | ({"prefix": "/"} if match.path == "/" else {"path_separated_prefix": match.path})
