"""The chart carries the CRDs of crds/ unchanged, upgrades them, and leaves them when it goes."""

import base64
import gzip
import json

import helm_python as helm
import yaml

from tests.chart.rendering import CHART, ROOT, Release, render

SECRET_BYTES_MAX = 1024 * 1024


def test_the_crds_are_those_of_the_repository(default: Release) -> None:
    found = {crd["metadata"]["name"]: crd for crd in default.of("CustomResourceDefinition")}
    wanted = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert found.keys() == {crd["metadata"]["name"] for crd in wanted}
    for crd in wanted:
        rendered = found[crd["metadata"]["name"]]
        assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert rendered == crd


def test_their_text_is_kept_byte_by_byte() -> None:
    with helm.Chart.load(CHART) as chart:
        text = chart.render({}, name="coalmine", namespace="coalmine-system")["coalmine/templates/crds.yaml"]
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
        manifest = "---\n".join(chart.render({}, name="coalmine", namespace="coalmine-system").values())
    # Twice base64: Helm's own, and that of a Secret's data, which counts towards the limit only once.
    kept = base64.b64encode(gzip.compress(json.dumps({"chart": encoded, "manifest": manifest}).encode()))
    assert len(kept) < SECRET_BYTES_MAX / 2


def test_rendering_again_changes_nothing() -> None:
    assert render().objects == render().objects
