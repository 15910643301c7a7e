"""The researcher's notebook runs from a data set to a bundle, on a small data set of the same layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bedside.runtime import Bundle

from .hippocampus_like import write_hippocampus_like

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "researcher" / "hippocampus.ipynb"


def test_it_is_committed_without_outputs():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5
    assert not [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None]


def test_it_runs_to_a_bundle_and_a_picture(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    data = write_hippocampus_like(tmp_path / "data")
    settings = {"DATA": data, "WORK": tmp_path / "work", "EPOCHS": 1, "STEPS": 2}
    for name, value in settings.items():
        monkeypatch.setenv(f"BEDSIDE_{name}", str(value))
    notebook = nbformat.read(NOTEBOOK, 4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    for name in ("labels-alone", "taught"):
        assert Bundle.open(tmp_path / "work" / f"{name}.bedside").task.labels == ("background", "Anterior", "Posterior")
        assert list((tmp_path / "work" / f"{name}-labels").glob("*.nii.gz"))
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert any("image/png" in output["data"] for output in shown)
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "Anterior" in printed
