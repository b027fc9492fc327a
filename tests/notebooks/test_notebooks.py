"""The notebooks run from their first cell to their last, on the data they are shipped with, and their claims hold."""

import shutil
import warnings
from pathlib import Path

import msgspec
import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbformat import NotebookNode

from analysis.failure_model_spec import FailureModelSpec
from analysis.model.validate import validate_failure_model
from rollout.api.failuremodel import FailureModel
from tests.support.api_process import ROOT

FOLDER = ROOT / "notebooks"
NAMES = ("01-history", "02-fit-a-failure-model", "03-certify-on-placebos", "04-plan-steps", "05-explain-a-rollback")
MODELS = {
    "02-fit-a-failure-model": {"failure-model-draft.yaml": "Shadow"},
    "03-certify-on-placebos": {"failure-model.yaml": "Enforce"},
}
"""What a notebook's last cell writes."""
SECONDS_MAX = 600
"""Of one cell; a notebook takes less than a minute, but no test depends on how fast the machine is."""


def read(name: str) -> NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run(notebook: NotebookNode, folder: Path) -> str:
    """Execute a notebook in a copy of its folder; returns all that it printed."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    resources = {"metadata": {"path": str(folder)}}
    with warnings.catch_warnings():
        # What jupyter_client and zmq will do in future versions is theirs to change.
        warnings.simplefilter("ignore")
        NotebookClient(notebook, timeout=SECONDS_MAX, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") for output in outputs if output.get("name") == "stdout")


def model_in(path: Path) -> FailureModelSpec:
    """The FailureModel of a file, as the operator would read it; fails where it is none."""
    model = msgspec.convert(yaml.safe_load(path.read_text()), FailureModel)
    assert validate_failure_model(model.spec) == ()
    return model.spec


def pictures(notebook: NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_the_folder_has_the_notebooks_that_are_told_of() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert "one cell to change" in code[0].source
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_its_claims_hold(name: str, tmp_path: Path) -> None:
    notebook = read(name)
    told = run(notebook, tmp_path)
    assert pictures(notebook) >= 2
    assert "yes  " in told
    assert "NO " not in told
    written = {path.name: model_in(path) for path in tmp_path.glob("failure-model*.yaml")}
    assert {file: model.mode for file, model in written.items()} == MODELS.get(name, {})
