"""The rights the chart gives are those the operator used: what the API server wrote down says both.

It runs last in a cluster, since what it looks at is what the stories before it asked for.
"""

import json
from collections.abc import Iterator

import pytest

from tests.chart.rendering import Json
from tests.cluster import installation
from tests.cluster.binaries import MINORS
from tests.cluster.box import Cluster

pytestmark = [pytest.mark.last, pytest.mark.parametrize("box", MINORS[:1], indirect=True)]

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""


def asked(box: Cluster) -> Iterator[Json]:
    """The operator's requests."""
    with box.control_plane.audit_log.open() as lines:
        for line in lines:
            event = json.loads(line) if line.endswith("\n") else {}
            if event.get("user", {}).get("username") == installation.USER and "objectRef" in event:
                yield event


def rights_of(event: Json) -> set[Right]:
    """What a request needed: applying what is not there yet is a creation, too."""
    about, made = event["objectRef"], event.get("responseStatus", {}).get("code") == 201
    resource = "/".join(part for part in (about.get("resource"), about.get("subresource")) if part)
    verbs = {event["verb"], "create"} if made else {event["verb"]}
    return {(about.get("apiGroup", ""), resource, verb) for verb in verbs}


def given(box: Cluster) -> set[Right]:
    """What the roles that are bound to the operator's account allow."""
    bindings = box.release.of("RoleBinding", "ClusterRoleBinding")
    names = {
        binding["roleRef"]["name"]
        for binding in bindings
        if any(subject["name"] == installation.ACCOUNT for subject in binding["subjects"])
    }
    roles = [role for role in box.release.of("Role", "ClusterRole") if role["metadata"]["name"] in names]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_nothing_that_the_operator_asked_for_was_forbidden(box: Cluster) -> None:
    decided = [(rights_of(event), event["annotations"].get("authorization.k8s.io/decision")) for event in asked(box)]
    assert decided, "the operator asked for nothing"
    assert [rights for rights, decision in decided if decision != "allow"] == []


def test_every_right_of_the_chart_was_used(box: Cluster) -> None:
    used = {right for event in asked(box) for right in rights_of(event)}
    unused = sorted(given(box) - used)
    assert not unused, "\n".join(map(str, unused))
