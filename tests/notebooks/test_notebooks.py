"""The notebooks run from their first cell to their last, on the data they are shipped with, and their claims hold."""

from pathlib import Path

import nbformat
import pytest

from tests.support.notebooks import FOLDER, model_in, pictures, read, run

NAMES = ("01-history", "02-fit-a-failure-model", "03-certify-on-placebos", "04-plan-steps", "05-explain-a-rollback")
MODELS = {
    "02-fit-a-failure-model": {"failure-model-draft.yaml": "Shadow"},
    "03-certify-on-placebos": {"failure-model.yaml": "Enforce"},
}
"""What a notebook's last cell writes."""


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
