"""Where the value of an ordinary metric comes from: Argo's metric providers, field by field.

Only `prometheus` is measured yet; the others are valid in the API and refused by validation.
"""

from typing import Annotated, Any, Literal

import msgspec

from analysis.model_base import Model


class KeyValue(Model):
    """One header of an HTTP request."""

    key: str
    """Name of the header."""
    value: str
    """Value of the header."""


class OAuth2Config(Model):
    """OAuth 2.0 client credentials."""

    token_url: str = ""
    """URL of the token endpoint."""
    client_id: str = ""
    """Client id."""
    client_secret: str = ""
    """Client secret; write it as an argument with valueFrom.secretKeyRef."""
    scopes: tuple[str, ...] = ()
    """Scopes to ask for."""


class Sigv4Config(Model):
    """AWS signature version 4, for Amazon Managed Prometheus."""

    region: str = ""
    """AWS region."""
    profile: str = ""
    """Profile of the AWS credentials file."""
    role_arn: str = ""
    """Role to assume."""


class BasicAuth(Model):
    """HTTP basic authentication."""

    username: str = ""
    """User name."""
    password: str = ""
    """Password; write it as an argument with valueFrom.secretKeyRef."""


class Authentication(Model):
    """How a provider is talked to; at most one of its fields."""

    sigv4: Sigv4Config | None = None
    """AWS signature version 4."""
    oauth2: OAuth2Config | None = None
    """OAuth 2.0 client credentials."""
    basic_auth: BasicAuth | None = None
    """User name and password."""


class PrometheusRangeQuery(Model):
    """A range instead of one instant; each field is an expression with `now()` and `duration("1h")`."""

    start: str = ""
    """Start of the range."""
    end: str = ""
    """End of the range."""
    step: str = ""
    """Distance of the points, as a duration."""


class PrometheusMetric(Model):
    """A query of the Prometheus HTTP API."""

    address: str = ""
    """URL of the Prometheus API, such as http://prometheus.monitoring:9090."""
    query: str = ""
    """PromQL of an ordinary metric; a comparison has its own queries and leaves this empty."""
    range_query: PrometheusRangeQuery | None = None
    """Asks for a range of points instead of one instant."""
    authentication: Authentication | None = None
    """How to authenticate."""
    timeout: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds a query may take; default 30."""
    insecure: bool = False
    """Accept any TLS certificate."""
    headers: tuple[KeyValue, ...] = ()
    """Further headers of the request, such as X-Scope-OrgID."""


class KayentaThreshold(Model):
    """Scores that separate success, marginal and failure."""

    # Named `pass` in the manifest, which is a keyword in Python.
    pass_: int = msgspec.field(name="pass")
    """Score from which the canary is good."""
    marginal: int
    """Score from which the canary is not bad."""


class ScopeDetail(Model):
    """One arm of a Kayenta scope."""

    scope: str
    """Scope, as the metric store knows it."""
    region: str
    """Region."""
    step: int
    """Seconds between points."""
    start: str = ""
    """Start time, RFC 3339."""
    end: str = ""
    """End time, RFC 3339."""


class KayentaScope(Model):
    """Both arms of a Kayenta analysis."""

    name: str
    """Name of the scope."""
    control_scope: ScopeDetail
    """The stable arm."""
    experiment_scope: ScopeDetail
    """The canary arm."""


class KayentaMetric(Model):
    """A judgement by a Kayenta server."""

    address: str
    """URL of Kayenta."""
    application: str
    """Application in Kayenta."""
    canary_config_name: str
    """Name of the canary configuration."""
    metrics_account_name: str
    """Account of the metric store."""
    configuration_account_name: str
    """Account of the configuration store."""
    storage_account_name: str
    """Account of the result store."""
    threshold: KayentaThreshold
    """Scores that decide."""
    scopes: tuple[KayentaScope, ...]
    """What is compared."""
    lookback: bool = False
    """Use a window that ends now instead of one that grows."""


class WebMetric(Model):
    """A JSON document fetched by HTTP."""

    url: str
    """Address to fetch."""
    method: Literal["", "GET", "POST", "PUT"] = ""
    """HTTP method; default GET."""
    headers: tuple[KeyValue, ...] = ()
    """Headers of the request."""
    body: str = ""
    """Body of the request; not with GET, and not beside jsonBody."""
    json_body: dict[str, Any] = {}
    """JSON body of the request; not with GET, and not beside body."""
    timeout_seconds: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds the request may take; default 10."""
    json_path: str = ""
    """Where in the answer the result is, such as {$.data.ok}."""
    insecure: bool = False
    """Accept any TLS certificate."""
    authentication: Authentication | None = None
    """How to authenticate."""


class DatadogSecretRef(Model):
    """The Secret with Datadog's keys."""

    name: str = ""
    """Name of the Secret."""
    namespaced: bool = False
    """Look for it in the namespace of the analysis run."""


class DatadogMetric(Model):
    """A query of Datadog."""

    interval: str = ""
    """Time span of the query; default 5m."""
    query: str = ""
    """One query."""
    queries: dict[str, str] = {}
    """Named queries for the formula (API v2)."""
    formula: str = ""
    """Combines the named queries (API v2)."""
    api_version: Literal["", "v1", "v2"] = ""
    """Version of Datadog's API; default v1."""
    aggregator: Literal["", "avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"] = ""
    """How points become one value (API v2); default last."""
    secret_ref: DatadogSecretRef | None = None
    """Secret with address, api-key and app-key."""


class NewRelicMetric(Model):
    """A NRQL query."""

    query: str
    """NRQL."""
    profile: str = ""
    """Name of the Secret with the account."""
    timeout: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds the query may take."""


class WavefrontMetric(Model):
    """A query of Wavefront."""

    query: str = ""
    """Query."""
    address: str = ""
    """Host of Wavefront."""


class CloudWatchMetricStatMetricDimension(Model):
    """One dimension of a CloudWatch metric."""

    name: str = ""
    """Name of the dimension."""
    value: str = ""
    """Value of the dimension."""


class CloudWatchMetricStatMetric(Model):
    """A metric in CloudWatch."""

    dimensions: tuple[CloudWatchMetricStatMetricDimension, ...] = ()
    """Its dimensions."""
    metric_name: str = ""
    """Its name."""
    namespace: str | None = None
    """Its namespace."""


class CloudWatchMetricStat(Model):
    """A statistic of a CloudWatch metric."""

    metric: CloudWatchMetricStatMetric = CloudWatchMetricStatMetric()
    """The metric."""
    period: int | str = 0
    """Seconds of one point."""
    stat: str = ""
    """Statistic, such as Average."""
    unit: str = ""
    """Unit."""


class CloudWatchMetricDataQuery(Model):
    """One of CloudWatch's metric data queries."""

    id: str = ""
    """Id, to be named in expressions."""
    expression: str | None = None
    """Metric math."""
    label: str | None = None
    """Label of the answer."""
    metric_stat: CloudWatchMetricStat | None = None
    """A statistic, where there is no expression."""
    period: int | str | None = None
    """Seconds of one point."""
    return_data: bool | None = None
    """Whether the answer carries it."""


class CloudWatchMetric(Model):
    """CloudWatch's GetMetricData."""

    metric_data_queries: tuple[CloudWatchMetricDataQuery, ...]
    """The queries."""
    interval: str = ""
    """Time span of the queries; default 5m."""


class GraphiteMetric(Model):
    """A query of Graphite."""

    address: str = ""
    """URL of Graphite."""
    query: str = ""
    """Target with functions."""


class InfluxdbMetric(Model):
    """A Flux query."""

    query: str = ""
    """Flux."""
    profile: str = ""
    """Name of the Secret with the server."""


class SkyWalkingMetric(Model):
    """A GraphQL query of SkyWalking."""

    address: str = ""
    """URL of SkyWalking."""
    query: str = ""
    """GraphQL."""
    interval: str = ""
    """Time span of the query."""


class JobMetric(Model):
    """A Kubernetes Job; the metric succeeds when the Job does."""

    spec: dict[str, Any]
    """JobSpec of batch/v1."""
    metadata: dict[str, Any] = {}
    """Labels and annotations of the Job."""


class MetricProvider(Model):
    """Exactly one of its fields."""

    prometheus: PrometheusMetric | None = None
    """Prometheus, or anything with its HTTP API."""
    kayenta: KayentaMetric | None = None
    """Kayenta."""
    web: WebMetric | None = None
    """A JSON document."""
    datadog: DatadogMetric | None = None
    """Datadog."""
    new_relic: NewRelicMetric | None = None
    """New Relic."""
    wavefront: WavefrontMetric | None = None
    """Wavefront."""
    cloud_watch: CloudWatchMetric | None = None
    """Amazon CloudWatch."""
    graphite: GraphiteMetric | None = None
    """Graphite."""
    influxdb: InfluxdbMetric | None = None
    """InfluxDB."""
    skywalking: SkyWalkingMetric | None = None
    """Apache SkyWalking."""
    job: JobMetric | None = None
    """A Kubernetes Job."""
    plugin: dict[str, Any] = {}
    """A metric plug-in: its name, and its configuration as raw JSON."""
