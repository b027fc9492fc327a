"""Schemas of custom resources: defaults, pruning and validation."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.api.samples import widget
from tests.conformance.client import Api

OUR_DEFINITIONS = sorted((Path(__file__).parents[3] / "crds").glob("coalmine.dev_*.yaml"))

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "required": ({}, "spec.replicas: Required value"),
    "minimum": (
        {"replicas": -1},
        "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
    ),
    "maximum": (
        {"replicas": 101},
        "spec.replicas: Invalid value: 101: spec.replicas in body should be less than or equal to 100",
    ),
    "type": (
        {"replicas": "many"},
        'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
    ),
    "enum": (
        {"replicas": 1, "mode": "Odd"},
        'spec.mode: Unsupported value: "Odd": supported values: "Slow", "Fast"',
    ),
    "pattern": (
        {"replicas": 1, "title": "Abc"},
        "spec.title: Invalid value: \"Abc\": spec.title in body should match '^[a-z]+$'",
    ),
    "minLength": (
        {"replicas": 1, "title": "a"},
        'spec.title: Invalid value: "a": spec.title in body should be at least 2 chars long',
    ),
    "maxLength": (
        {"replicas": 1, "title": "abcdefghijk"},
        "spec.title: Too long: may not be more than 10 bytes",
    ),
    "maxItems": (
        {"replicas": 1, "steps": [1, 2, 3, 4]},
        "spec.steps: Too many: 4: must have at most 3 items",
    ),
    "set": (
        {"replicas": 1, "tags": ["a", "a"]},
        'spec.tags[1]: Duplicate value: "a"',
    ),
    "map": (
        {"replicas": 1, "ports": [{"name": "a"}, {"name": "a"}]},
        'spec.ports[1]: Duplicate value: {"name":"a"}',
    ),
    "items": (
        {"replicas": 1, "steps": ["x"]},
        'spec.steps[0]: Invalid value: "string": spec.steps[0] in body must be of type integer: "string"',
    ),
    "int-or-string": (
        {"replicas": 1, "limit": True},
        'spec.limit: Invalid value: "boolean": spec.limit in body must be of type integer,string: "boolean"',
    ),
}


@pytest.mark.parametrize("case", list(INVALID))
def test_what_the_schema_forbids_is_named(api: Api, widgets: str, case: str) -> None:
    spec, words = INVALID[case]
    reply = api.post(widgets, widget("bad", spec))
    assert (reply.status, reply.body["reason"]) == (422, "Invalid")
    assert words in reply.body["message"]
    assert reply.body["message"].startswith('Widget.lab.coalmine.dev "bad" is invalid: ')
    assert reply.body["details"]["causes"][0]["field"] == words.partition(":")[0]


def test_several_problems_come_together(api: Api, widgets: str) -> None:
    causes = api.post(widgets, widget("bad", {"replicas": -1, "mode": "Odd"})).body["details"]["causes"]
    assert {"spec.mode", "spec.replicas"} <= {one["field"] for one in causes}


def test_unknown_fields_are_pruned_with_a_warning(api: Api, widgets: str) -> None:
    reply = api.post(widgets, widget("a", {"replicas": 1, "junk": 5}))
    assert (reply.status, reply.body["spec"]) == (201, {"replicas": 1, "mode": "Slow"})
    assert reply.headers["Warning"] == '299 - "unknown field \\"spec.junk\\""'


def test_unknown_fields_are_pruned_in_silence_when_asked(api: Api, widgets: str) -> None:
    reply = api.post(f"{widgets}?fieldValidation=Ignore", widget("a", {"replicas": 1, "junk": 5}))
    assert reply.status == 201
    assert "Warning" not in reply.headers


def test_unknown_fields_are_refused_under_strict(api: Api, widgets: str) -> None:
    reply = api.post(f"{widgets}?fieldValidation=Strict", widget("a", {"replicas": 1, "junk": 5}))
    assert (reply.status, reply.body["reason"]) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.junk"' in reply.body["message"]


def test_open_objects_keep_everything(api: Api, widgets: str) -> None:
    spec = {"replicas": 1, "open": {"x": {"y": [1, {"z": None}]}}, "limit": "25%", "labels": {"a": "b"}}
    assert api.post(widgets, widget("a", spec)).body["spec"] == {**spec, "mode": "Slow"}


def test_nulls_take_defaults_where_null_is_not_allowed(api: Api, widgets: str) -> None:
    reply = api.post(widgets, widget("a", {"replicas": 1, "mode": None, "title": None}))
    assert (reply.status, reply.body["spec"]) == (201, {"replicas": 1, "mode": "Slow", "title": None})


def test_fields_can_be_immutable(api: Api, widgets: str) -> None:
    api.post(widgets, widget("a", {"replicas": 1, "fixed": "x"}))
    assert api.patch(f"{widgets}/a", {"spec": {"replicas": 2}}).status == 200
    reply = api.patch(f"{widgets}/a", {"spec": {"fixed": "y"}})
    assert reply.status == 422
    assert "fixed is immutable" in reply.body["message"]


def test_a_definition_says_when_it_is_established(api: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.lab.coalmine.dev"
    status = api.get(path).body["status"]
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "NamesAccepted": "True", "Established": "True",
    }  # fmt: skip
    assert status["storedVersions"] == ["v1"]
    assert status["acceptedNames"]["kind"] == "Widget"


def test_a_definition_that_is_deleted_takes_its_kind_along(api: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    names = {"plural": "gadgets", "kind": "Gadget"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.lab.coalmine.dev"},
        "spec": {"group": "lab.coalmine.dev", "scope": "Cluster", "names": names, "versions": [version]},
    }  # fmt: skip
    created = api.post(path, body)
    assert created.status == 201
    assert created.body["spec"]["names"]["listKind"] == "GadgetList"
    served = "/apis/lab.coalmine.dev/v1/gadgets"
    assert api.eventually(served, lambda reply: reply.status == 200).status == 200
    assert api.delete(f"{path}/gadgets.lab.coalmine.dev").status == 200
    assert api.eventually(served, lambda reply: reply.status == 404).status == 404


def test_a_definition_must_be_named_after_its_kind(api: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    found = api.get(f"{path}/widgets.lab.coalmine.dev").body
    spec = {**found["spec"], "group": "elsewhere.coalmine.dev"}
    body = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": {"name": "x"}, "spec": spec}
    assert api.post(path, body).status == 422


def test_our_own_definitions_are_accepted_as_structural(api: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in OUR_DEFINITIONS:
        body = yaml.safe_load(file.read_text())
        reply = api.post(f"{path}?fieldValidation=Strict", body)
        assert reply.status == 201, reply.body["message"]
        name = body["metadata"]["name"]
        found = api.eventually(f"{path}/{name}", lambda one: bool((one.body.get("status") or {}).get("conditions")))
        conditions = {one["type"]: one["status"] for one in found.body["status"]["conditions"]}
        assert "NonStructuralSchema" not in conditions, found.body["status"]
        api.delete(f"{path}/{name}")
