"""Helm finds nothing to complain of, and an archive stands on its own."""

import tarfile
import tomllib
from pathlib import Path

import helm_python as helm
import pytest

from tests.chart.rendering import CASES, CHART, ROOT, Json, texts


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_lint_is_content(values: Json) -> None:
    report = helm.lint(CHART, values, strict=True, namespace="coalmine-system")
    assert report["total_charts_linted"] == 1
    assert report["errors"] == []
    found = {(message["severity"], message["error"]) for message in report["messages"]}
    assert found <= {(1, "icon is recommended")}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_the_archive_renders_as_the_folder_does(values: Json, tmp_path: Path) -> None:
    archive = Path(helm.package(CHART, destination=tmp_path))
    assert archive.name == "coalmine-0.1.0.tgz"
    assert texts(values, chart=archive) == texts(values)


def test_the_archive_holds_files_and_no_links(tmp_path: Path) -> None:
    with tarfile.open(helm.package(CHART, destination=tmp_path)) as archive:
        members = archive.getmembers()
    assert all(member.isfile() for member in members)
    crds = {Path(member.name).name for member in members if "/files/crds/" in member.name}
    assert crds == {path.name for path in (ROOT / "crds").glob("*.yaml")}


def test_the_chart_has_the_version_of_the_operator() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with helm.Chart.load(CHART) as chart:
        assert chart.metadata["appVersion"] == chart.version == project["version"]
