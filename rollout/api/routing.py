"""`strategy.canary.trafficRouting`: which router carries the weights. Field names are Argo's."""

from typing import Any

import msgspec

from analysis.model_base import Model


class NamedRoute(Model):
    """A route object in the Rollout's namespace."""

    name: str
    """Name of the route object."""
    use_header_routes: bool = False
    """Whether header routes are written to this object too."""


class GatewayAPIRouting(Model):
    """Kubernetes Gateway API routes; the fields of the argoproj-labs/gatewayAPI plug-in's config."""

    http_routes: tuple[NamedRoute, ...] = ()
    """HTTPRoutes whose rules carry the stable and the canary Service as backendRefs."""
    grpc_routes: tuple[NamedRoute, ...] = ()
    """GRPCRoutes, likewise."""
    tcp_routes: tuple[NamedRoute, ...] = ()
    """TCPRoutes, likewise."""
    tls_routes: tuple[NamedRoute, ...] = ()
    """TLSRoutes, likewise."""
    http_route: str = ""
    """The name of a single HTTPRoute, the short form of httpRoutes."""
    namespace: str = ""
    """Namespace of the routes; only the Rollout's own is accepted."""


class TLSRoute(Model):
    """Which TLS routes of a VirtualService are managed."""

    port: int = 0
    """Port of the route."""
    sni_hosts: tuple[str, ...] = ()
    """Server names of the route."""


class TCPRoute(Model):
    """Which TCP routes of a VirtualService are managed."""

    port: int = 0
    """Port of the route."""


class IstioVirtualService(Model):
    """An Istio VirtualService whose weights are managed."""

    name: str
    """Name, or namespace/name."""
    routes: tuple[str, ...] = ()
    """Names of the HTTP routes to manage; needed when there are several."""
    tls_routes: tuple[TLSRoute, ...] = ()
    """TLS routes to manage."""
    tcp_routes: tuple[TCPRoute, ...] = ()
    """TCP routes to manage."""


class IstioDestinationRule(Model):
    """An Istio DestinationRule whose subsets are managed."""

    name: str
    """Name of the DestinationRule."""
    canary_subset_name: str = ""
    """Subset of the canary."""
    stable_subset_name: str = ""
    """Subset of stable."""
    additional_subset_names: tuple[str, ...] = ()
    """Further subsets that keep the hash label."""


class IstioRouting(Model):
    """Istio."""

    virtual_service: IstioVirtualService | None = None
    """One VirtualService."""
    virtual_services: tuple[IstioVirtualService, ...] = ()
    """Several VirtualServices."""
    destination_rule: IstioDestinationRule | None = None
    """Subsets instead of Services."""


class NginxRouting(Model):
    """ingress-nginx."""

    stable_ingress: str = ""
    """The Ingress of the stable Service."""
    stable_ingresses: tuple[str, ...] = ()
    """Several Ingresses of the stable Service."""
    annotation_prefix: str = ""
    """Prefix of the annotations, nginx.ingress.kubernetes.io by default."""
    additional_ingress_annotations: dict[str, str] = {}
    """Annotations for the canary Ingress."""
    canary_ingress_annotations: dict[str, str] = {}
    """Annotations for the canary Ingress, without the prefix."""


class StickinessConfig(Model):
    """Sticky target groups of an ALB."""

    enabled: bool = False
    """Whether clients stick to a target group."""
    duration_seconds: int = 0
    """For how long, in seconds."""


class ALBRouting(Model):
    """AWS Application Load Balancer."""

    service_port: int
    """Port of the Services."""
    ingress: str = ""
    """The Ingress of the load balancer."""
    ingresses: tuple[str, ...] = ()
    """Several Ingresses."""
    root_service: str = ""
    """The Service that the Ingress names."""
    annotation_prefix: str = ""
    """Prefix of the annotations, alb.ingress.kubernetes.io by default."""
    stickiness_config: StickinessConfig | None = None
    """Sticky sessions."""


class SMIRouting(Model):
    """Service Mesh Interface (deprecated)."""

    root_service: str = ""
    """The Service that clients use."""
    traffic_split_name: str = ""
    """Name of the TrafficSplit."""


class AmbassadorRouting(Model):
    """Ambassador (deprecated)."""

    mappings: tuple[str, ...] = ()
    """Names of the Mappings."""


class AppMeshVirtualService(Model):
    """An App Mesh virtual service."""

    name: str
    """Name of the VirtualService."""
    routes: tuple[str, ...] = ()
    """Names of the routes."""


class AppMeshVirtualNodeReference(Model):
    """A reference to an App Mesh virtual node."""

    name: str
    """Name of the VirtualNode."""


class AppMeshVirtualNodeGroup(Model):
    """The virtual nodes of both arms."""

    canary_virtual_node_ref: AppMeshVirtualNodeReference | None = None
    """Virtual node of the canary."""
    stable_virtual_node_ref: AppMeshVirtualNodeReference | None = None
    """Virtual node of stable."""


class AppMeshRouting(Model):
    """AWS App Mesh (deprecated)."""

    virtual_service: AppMeshVirtualService | None = None
    """The virtual service."""
    virtual_node_group: AppMeshVirtualNodeGroup | None = None
    """The virtual nodes."""


class TraefikRouting(Model):
    """Traefik."""

    weighted_traefik_service_name: str
    """Name of the weighted TraefikService."""


class ApisixRoute(Model):
    """An ApisixRoute."""

    name: str
    """Name of the ApisixRoute."""
    rules: tuple[str, ...] = ()
    """Names of the HTTP rules to manage."""


class ApisixRouting(Model):
    """Apache APISIX."""

    route: ApisixRoute | None = None
    """The route."""


class ManagedRoute(Model):
    """A header or mirror route that steps create and remove."""

    name: str
    """Name that steps refer to."""


class TrafficRouting(Model):
    """How traffic is split. Without it, the ratio of ready pods is the weight."""

    gateway_api: GatewayAPIRouting | None = msgspec.field(default=None, name="gatewayAPI")
    """Gateway API (Coalmine's own field; in Argo Rollouts a plug-in)."""
    istio: IstioRouting | None = None
    """Istio."""
    nginx: NginxRouting | None = None
    """ingress-nginx."""
    alb: ALBRouting | None = None
    """AWS Application Load Balancer."""
    smi: SMIRouting | None = None
    """Service Mesh Interface (deprecated)."""
    ambassador: AmbassadorRouting | None = None
    """Ambassador (deprecated)."""
    app_mesh: AppMeshRouting | None = None
    """AWS App Mesh (deprecated)."""
    traefik: TraefikRouting | None = None
    """Traefik."""
    apisix: ApisixRouting | None = None
    """Apache APISIX."""
    plugins: dict[str, Any] = {}
    """Configuration of router plug-ins, by name."""
    managed_routes: tuple[ManagedRoute, ...] = ()
    """Routes that setHeaderRoute and setMirrorRoute may create, in order of precedence."""
    max_traffic_weight: int | None = None
    """What counts as all traffic; 100 by default (nginx and plug-ins only)."""
