"""Roles name what they allow: no wildcard, no Secret by default, nothing cluster-wide that a namespace can hold."""

import helm_python as helm
import pytest

from rollout.api.crds import KINDS
from tests.chart.rendering import Json, Release, render

OURS = {kind.plural for kind in KINDS}


def grants(role: Json) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def of_operator(release: Release) -> list[Json]:
    users = ("view", "edit", "gitops")
    roles = release.of("Role", "ClusterRole")
    return [role for role in roles if role["metadata"]["name"].rpartition(":")[2] not in users]


def test_there_are_no_wildcards_and_no_power_over_roles(release: Release) -> None:
    for role in release.of("Role", "ClusterRole"):
        for group, resource, verb in grants(role):
            assert "*" not in group + resource + verb
            assert group != "rbac.authorization.k8s.io"
            assert verb not in {"escalate", "bind", "impersonate"}


def test_a_rule_is_given_once(release: Release) -> None:
    for role in release.of("Role", "ClusterRole"):
        rules = [rule for rule in role["rules"] if "resourceNames" not in rule]
        assert sum(len(r["apiGroups"]) * len(r["resources"]) * len(r["verbs"]) for r in rules) == len(
            grants({"rules": rules})
        )


def test_secrets_are_never_listed(release: Release) -> None:
    verbs = {verb for role in of_operator(release) for _, resource, verb in grants(role) if resource == "secrets"}
    assert verbs <= {"get"}


def test_no_secret_is_read_unless_named(default: Release, everything: Release) -> None:
    assert not any(resource == "secrets" for role in of_operator(default) for _, resource, _ in grants(role))
    found = [role for role in everything.of("Role", "ClusterRole") if role["metadata"]["name"].endswith(":secrets")]
    assert {role["metadata"]["namespace"]: role["rules"][0].get("resourceNames") for role in found} == {
        "shop": ["shop-git"],
        "lab": None,
    }


def test_applications_apply_nothing_unless_named(default: Release, everything: Release) -> None:
    assert not any(role["metadata"]["name"].endswith(":applications") for role in default.of("Role", "ClusterRole"))
    found = [
        role for role in everything.of("Role", "ClusterRole") if role["metadata"]["name"].endswith(":applications")
    ]
    assert {role["metadata"]["namespace"] for role in found} == {"shop", "lab"}
    for role in found:
        assert {verb for _, _, verb in grants(role)} == {"get", "create", "patch", "delete"}
        assert {resource for _, resource, _ in grants(role)} == {
            "rollouts",
            "analysistemplates",
            "services",
            "configmaps",
            "httproutes",
        }


def test_what_applications_apply_has_a_place() -> None:
    resources = [{"apiGroup": "", "resources": ["services"]}]
    with pytest.raises(helm.HelmRenderError, match=r"rbac\.applications: name the namespaces"):
        render({"rbac": {"applications": {"resources": resources}}})


def test_watched_namespaces_get_roles_and_the_cluster_only_what_has_no_namespace(
    default: Release, namespaced: Release
) -> None:
    everywhere = {("coalmine.dev", "clusteranalysistemplates", verb) for verb in ("list", "watch")}
    assert grants(namespaced.one("ClusterRole", ":operator")) == everywhere
    roles = [role for role in namespaced.of("Role") if role["metadata"]["name"].endswith(":operator")]
    assert {role["metadata"]["namespace"] for role in roles} == {"shop", "payments"}
    for role in roles:
        assert grants(role) == grants(default.one("ClusterRole", ":operator")) - everywhere


def test_the_lease_is_one_by_name(default: Release) -> None:
    role = default.one("Role", ":lease")
    assert role["metadata"]["namespace"] == default.namespace
    assert grants(role) == {("coordination.k8s.io", "leases", verb) for verb in ("create", "get", "update")}
    named = {verb: rule.get("resourceNames") for rule in role["rules"] for verb in rule["verbs"]}
    assert named == {"create": None, "get": ["coalmine"], "update": ["coalmine"]}
    assert not any(group == "coordination.k8s.io" for group, _, _ in grants(default.one("ClusterRole", ":operator")))


def test_no_roles_where_the_platform_brings_its_own(bare: Release) -> None:
    assert not bare.of("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def test_viewers_read_every_kind_of_ours(default: Release) -> None:
    role = default.one("ClusterRole", ":view")
    assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    whole = {(resource, verb) for _, resource, verb in grants(role) if "/" not in resource}
    assert whole == {(plural, verb) for plural in OURS for verb in ("get", "list", "watch")}


def test_editors_steer_rollouts_but_apply_nothing_from_git(default: Release) -> None:
    role = default.one("ClusterRole", ":edit")
    assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert ("coalmine.dev", "rollouts/status", "patch") in grants(role)
    written = {resource for _, resource, _ in grants(role) if "/" not in resource}
    assert written == OURS - {"applications", "gitrepositories", "clusteranalysistemplates"}


def test_admins_act_as_the_operator_only_if_that_is_wanted(default: Release, everything: Release) -> None:
    label = "rbac.authorization.k8s.io/aggregate-to-admin"
    assert label not in default.one("ClusterRole", ":gitops")["metadata"]["labels"]
    assert everything.one("ClusterRole", ":gitops")["metadata"]["labels"][label] == "true"


def test_finalizers_are_granted_where_a_cluster_asks_for_it(default: Release, everything: Release) -> None:
    wanted = {("coalmine.dev", f"{plural}/finalizers", "update") for plural in ("rollouts", "analysisruns")}
    assert not grants(default.one("ClusterRole", ":operator")) & wanted
    assert grants(everything.one("ClusterRole", ":operator")) >= wanted
