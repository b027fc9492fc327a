"""The chart carries the CRDs of crds/ unchanged, upgrades them, and leaves them when it goes."""

import base64
import gzip
import json

import helm_python as helm

from tests.chart.rendering import CHART, ROOT, Release, parsed, texts

SECRET_BYTES_MAX = 1024 * 1024


def test_the_crds_are_those_of_the_repository(default: Release) -> None:
    found = {crd["metadata"]["name"]: crd for crd in default.of("CustomResourceDefinition")}
    wanted = [crd for path in sorted((ROOT / "crds").glob("*.yaml")) for crd in parsed(path.read_text())]
    assert found.keys() == {crd["metadata"]["name"] for crd in wanted}
    for crd in wanted:
        rendered = found[crd["metadata"]["name"]]
        assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert rendered == crd


def test_their_text_is_kept_byte_by_byte() -> None:
    text = texts()["coalmine/templates/crds.yaml"]
    policy = "  annotations: {helm.sh/resource-policy: keep}\n"
    for path in (ROOT / "crds").glob("*.yaml"):
        assert path.read_text() in text.replace(policy, "")
    assert "{{arms.pods}}" in text


def test_they_are_templates_since_helm_never_upgrades_the_others() -> None:
    with helm.Chart.load(CHART) as chart:
        assert chart.crds == []


def test_a_second_release_leaves_them_out(bare: Release) -> None:
    assert not bare.of("CustomResourceDefinition")


def test_a_release_fits_into_the_secret_in_which_helm_keeps_it() -> None:
    with helm.Chart.load(CHART) as chart:
        parts = [*chart.files, *chart.templates]
        encoded = [{**part, "data": base64.b64encode(part["data"].encode()).decode()} for part in parts]
    manifest = "---\n".join(texts().values())
    kept = base64.b64encode(gzip.compress(json.dumps({"chart": encoded, "manifest": manifest}).encode()))
    assert len(kept) < SECRET_BYTES_MAX / 2
