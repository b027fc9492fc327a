"""Notebooks in a copy of their folder, executed from the first cell to the last."""

import shutil
import warnings
from pathlib import Path

import msgspec
import nbformat
import yaml
from nbclient import NotebookClient
from nbformat import NotebookNode

from analysis.failure_model_spec import FailureModelSpec
from analysis.model.validate import validate_failure_model
from rollout.api.failuremodel import FailureModel
from tests.support.api_process import ROOT

FOLDER = ROOT / "notebooks"
SECONDS_MAX = 600
"""Of the kernel's start, of one cell, and of its outputs.

A notebook takes less than a minute, but no test depends on how fast the machine is.
"""


def read(name: str) -> NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run(notebook: NotebookNode, folder: Path) -> str:
    """Execute a notebook in a copy of its folder; returns all that it printed."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    resources = {"metadata": {"path": str(folder)}}
    with warnings.catch_warnings():
        # What jupyter_client and zmq will do in future versions is theirs to change.
        warnings.simplefilter("ignore")
        NotebookClient(
            notebook, timeout=SECONDS_MAX, startup_timeout=SECONDS_MAX, iopub_timeout=SECONDS_MAX,
            raise_on_iopub_timeout=True, kernel_name="python3", resources=resources,
        ).execute()  # fmt: skip
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
