"""What is rendered holds together: every reference finds its object, and two releases keep out of each other's way."""

from pathlib import PurePosixPath

import pytest

from rollout.cli.main import parser
from tests.chart.rendering import Json, Release, render

CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


def identity(obj: Json) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def selects(selector: Json, obj: Json) -> bool:
    return bool(selector.items() <= obj["metadata"]["labels"].items())


def test_every_object_is_there_once_and_says_where(release: Release) -> None:
    identities = [identity(obj) for obj in release.objects]
    assert len(set(identities)) == len(identities)
    for obj in release.objects:
        assert ("namespace" in obj["metadata"]) == (obj["kind"] not in CLUSTER_SCOPED), identity(obj)
        assert all(isinstance(text, str) for text in obj["metadata"].get("labels", {}).values())


def test_roles_and_accounts_that_are_named_exist(release: Release) -> None:
    known = {identity(obj) for obj in release.objects}
    account = release.pod["spec"]["serviceAccountName"]
    for binding in release.of("RoleBinding", "ClusterRoleBinding"):
        role = binding["roleRef"]
        assert (role["kind"], binding["metadata"].get("namespace", ""), role["name"]) in known
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account, release.namespace)
    made = {obj["metadata"]["name"] for obj in release.of("ServiceAccount")}
    assert made == ({account} if account != "mine" else set())


def test_selectors_find_the_pods(release: Release) -> None:
    deployment = release.one("Deployment")["spec"]
    selectors = [
        deployment["selector"]["matchLabels"],
        release.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    selectors += [service["spec"]["selector"] for service in release.of("Service")]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in release.of("NetworkPolicy")]
    spread = release.pod["spec"]["topologySpreadConstraints"]
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
    assert all(selector and selects(selector, release.pod) for selector in selectors)


def test_the_monitor_finds_the_metrics_and_nothing_else(everything: Release) -> None:
    selector = everything.one("ServiceMonitor")["spec"]["selector"]["matchLabels"]
    (service,) = (service for service in everything.of("Service") if selects(selector, service))
    (port,) = service["spec"]["ports"]
    assert port["name"] == everything.one("ServiceMonitor")["spec"]["endpoints"][0]["port"]


def test_ports_that_are_named_are_those_of_the_operator(release: Release) -> None:
    spec, told = release.container, parser().parse_args(release.container["args"])
    ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
    assert ports == {"health": told.health_port, "metrics": told.metrics_port, "webhooks": told.webhook_port}
    used = {spec[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    used |= {port["targetPort"] for service in release.of("Service") for port in service["spec"]["ports"]}
    rules = [rule for policy in release.of("NetworkPolicy") for rule in policy["spec"]["ingress"]]
    used |= {port["port"] for rule in rules for port in rule["ports"]}
    assert used <= set(ports)


def test_the_operator_takes_its_flags(release: Release) -> None:
    told = parser().parse_args(release.container["args"])
    assert told.handler.__module__ == "rollout.cli.run"
    assert told.bind == "0.0.0.0"  # noqa: S104  a pod's own address
    assert told.namespaces == release.values.get("namespaces", [])
    assert told.lease_namespace == release.namespace
    assert told.lease_name == release.one("Deployment")["metadata"]["name"]
    assert told.metric_address == release.values.get("metricAddresses", [])
    mounts = {mount["mountPath"] for mount in release.container["volumeMounts"]}
    assert mounts & {str(parent) for parent in PurePosixPath(told.data_dir).parents}


def test_values_reach_the_flags(everything: Release) -> None:
    told = parser().parse_args(everything.container["args"])
    assert (told.lease_seconds, told.log_level, told.log_format) == (30.0, "DEBUG", "text")
    assert str(told.ports_file) == "/tmp/ports.json"  # noqa: S108  in the pod


def test_a_slow_start_is_no_reason_for_a_restart(release: Release) -> None:
    probe = release.container["startupProbe"]
    assert probe["httpGet"] == release.container["livenessProbe"]["httpGet"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 300


def test_each_replica_is_told_apart(release: Release) -> None:
    (name,) = (entry for entry in release.container["env"] if entry["name"] == "POD_NAME")
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_two_replicas_stand_on_two_hosts_if_they_can(default: Release) -> None:
    assert default.one("Deployment")["spec"]["replicas"] == 2
    assert default.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    spread = {c["topologyKey"]: c["whenUnsatisfiable"] for c in default.pod["spec"]["topologySpreadConstraints"]}
    assert spread == {"kubernetes.io/hostname": "ScheduleAnyway", "topology.kubernetes.io/zone": "ScheduleAnyway"}


def test_what_is_not_asked_for_is_not_there(default: Release) -> None:
    assert not default.of("ServiceMonitor", "NetworkPolicy")
    assert [service["metadata"]["name"] for service in default.of("Service")] == ["coalmine-metrics"]


def test_the_network_is_closed_to_others(everything: Release) -> None:
    policy = everything.one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    peers = {rule["ports"][0]["port"]: rule.get("from") for rule in policy["ingress"]}
    assert peers.pop("health") is None
    assert peers == {
        "metrics": everything.values["networkPolicy"]["metricsFrom"],
        "webhooks": everything.values["networkPolicy"]["webhooksFrom"],
    }
    closed = render({"networkPolicy": {"enabled": True}}).one("NetworkPolicy")["spec"]
    assert closed["policyTypes"] == ["Ingress"]
    assert "webhooks" not in {port["port"] for rule in closed["ingress"] for port in rule["ports"]}


def test_values_of_scheduling_reach_the_pod(everything: Release) -> None:
    spec = everything.pod["spec"]
    for name in ("nodeSelector", "tolerations", "affinity", "imagePullSecrets", "priorityClassName"):
        assert spec[name] == everything.values[name]
    assert everything.pod["metadata"]["annotations"]["example.com/note"] == "true"
    assert everything.pod["metadata"]["labels"]["team"] == "platform"


def test_a_digest_is_stronger_than_a_tag(default: Release, everything: Release) -> None:
    assert default.container["image"] == "coalmine:0.1.0"
    assert everything.container["image"] == "registry.example:5000/team/coalmine@sha256:" + "0" * 64


@pytest.mark.parametrize("name", ["x" * 53, "a-release-of-" + "coalmine" * 5, "7"])
def test_long_and_odd_names_fit(name: str) -> None:
    release = render({"webhooks": {"enabled": True}}, name=name, namespace="2026")
    for obj in release.objects:
        labels = obj["metadata"].get("labels", {})
        names = [obj["metadata"]["name"].split(":")[1]] if ":" in obj["metadata"]["name"] else [obj["metadata"]["name"]]
        names += [] if obj["kind"] == "CustomResourceDefinition" else labels.values()
        assert all(isinstance(text, str) and len(text) <= 63 and not text.endswith("-") for text in names), names
        assert obj["metadata"].get("namespace", "2026") == "2026"


@pytest.mark.parametrize(
    "other",
    [{"name": "second", "namespace": "coalmine-system"}, {"name": "coalmine", "namespace": "elsewhere"}],
    ids=str,
)
def test_two_releases_share_no_object(default: Release, other: dict[str, str]) -> None:
    second = render({"crds": {"install": False}}, **other)
    assert not {identity(obj) for obj in default.objects} & {identity(obj) for obj in second.objects}
    selector = default.one("Deployment")["spec"]["selector"]["matchLabels"]
    assert other["name"] == "coalmine" or not selects(selector, second.pod)


def test_the_notes_say_what_is_missing(default: Release, everything: Release, bare: Release) -> None:
    assert "watches all namespaces" in default.notes
    assert "rbac.applications" in default.notes
    assert "rbac.secrets" in default.notes
    assert "rbac." not in everything.notes
    assert "delivery-webhooks, port 8443" in everything.notes
    assert "CRDs are not installed" in bare.notes
