"""values.yaml, its schema and its comments say the same; a wrong value is refused by its name."""

import json
import re
from collections.abc import Iterator

import helm_python as helm
import pytest
import yaml

from tests.chart.rendering import CASES, CHART, Json, texts

SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
TEXT = (CHART / "values.yaml").read_text()
VALUES: Json = yaml.safe_load(TEXT)


def resolved(schema: Json) -> Json:
    reference = schema.get("$ref", "")
    return SCHEMA["definitions"][reference.rpartition("/")[2]] if reference else schema


def closed(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every object of the schema that lists its fields."""
    schema = resolved(schema)
    if "properties" in schema:
        yield path, schema
        for name, child in schema["properties"].items():
            yield from closed(child, f"{path}.{name}")
    if "items" in schema:
        yield from closed(schema["items"], f"{path}[]")


def test_every_value_is_in_the_schema_and_back() -> None:
    for path, schema in closed(SCHEMA):
        assert schema["additionalProperties"] is False, path
        if "[]" in path:
            continue
        values = VALUES
        for name in path.split(".")[1:]:
            values = values[name]
        assert values.keys() == schema["properties"].keys() - {"global"}, path


def test_every_value_is_explained() -> None:
    """Obvious ones share the comment of their block."""
    blocks = re.split(r"\n\s*\n", TEXT)
    lonely = [block for block in blocks if "#" not in block]
    assert lonely == []


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_good_values_are_taken(values: Json) -> None:
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        chart.validate_schema({**values, "global": {"of": "a parent"}})


WRONG: list[tuple[Json, str]] = [
    ({"replica": 2}, "additional properties 'replica' not allowed"),
    ({"rbac": {"secret": {}}}, "'/rbac': additional properties 'secret' not allowed"),
    ({"replicas": 0}, "'/replicas'"),
    ({"replicas": "2"}, "'/replicas': got string, want integer"),
    ({"image": {"pullPolicy": "Sometimes"}}, "'/image/pullPolicy'"),
    ({"image": {"digest": "sha256:short"}}, "'/image/digest'"),
    ({"image": {"tag": "a b"}}, "'/image/tag'"),
    ({"fullnameOverride": "x" * 55}, "'/fullnameOverride'"),
    ({"namespaces": "shop"}, "'/namespaces': got string, want array"),
    ({"namespaces": ["Shop"]}, "'/namespaces/0'"),
    ({"namespaces": ["shop", "shop"]}, "'/namespaces'"),
    ({"leaseSeconds": 1}, "'/leaseSeconds'"),
    ({"log": {"level": "LOUD"}}, "'/log/level'"),
    ({"metricAddresses": ["a b"]}, "'/metricAddresses/0'"),
    ({"extraArgs": ["run"]}, "'/extraArgs/0'"),
    ({"extraArgs": ["--x=a\nb"]}, "'/extraArgs/0'"),
    ({"extraArgs": ["--x"] * 21}, "'/extraArgs'"),
    ({"rbac": {"secrets": {"namespaces": {"shop": []}}}}, "'/rbac/secrets/namespaces/shop'"),
    ({"rbac": {"secrets": {"namespaces": {"shop": ["*"]}}}}, "'/rbac/secrets/namespaces/shop/0'"),
    ({"rbac": {"applications": {"resources": [{"resources": ["pods"]}]}}}, "missing property 'apiGroup'"),
    (
        {"rbac": {"applications": {"resources": [{"apiGroup": "*", "resources": ["pods"]}]}}},
        "'/rbac/applications/resources/0/apiGroup'",
    ),
    (
        {"rbac": {"applications": {"resources": [{"apiGroup": "", "resources": ["*"]}]}}},
        "'/rbac/applications/resources/0/resources/0'",
    ),
    ({"webhooks": {"port": 0}}, "'/webhooks/port'"),
    ({"dataDir": {"sizeLimit": "much"}}, "'/dataDir/sizeLimit'"),
    ({"dataDir": {"sizeLimit": None}}, "'/dataDir'"),
    ({"resources": {"limits": {"memory": "1 GB"}}}, "'/resources/limits/memory'"),
    ({"runAsUser": 0}, "'/runAsUser'"),
    ({"podLabels": {"a": 1}}, "'/podLabels/a'"),
    ({"terminationGracePeriodSeconds": 1}, "'/terminationGracePeriodSeconds'"),
]


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[json.dumps(values)[:60] for values, _ in WRONG])
def test_a_wrong_value_is_refused_by_its_name(values: Json, words: str) -> None:
    with pytest.raises(helm.HelmValuesError) as refused:
        texts(values)
    assert words in str(refused.value)


@pytest.mark.parametrize("flag", ["--bind=127.0.0.1", "--namespace=kube-system", "--data-dir=/", "--metric-address=*"])
def test_a_flag_with_a_value_of_its_own_is_refused(flag: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=r"extraArgs: --[a-z-]+ is set by the chart"):
        texts({"extraArgs": [flag]})


def test_an_account_that_exists_has_a_name() -> None:
    with pytest.raises(helm.HelmRenderError, match=r"serviceAccount\.name: name the existing"):
        texts({"serviceAccount": {"create": False}})
