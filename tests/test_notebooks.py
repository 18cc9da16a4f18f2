"""Notebooks run from top to bottom, each the pair of its percent script."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SMALL = {
    "coco": "48",
    "human_comparison": "4",
    "neva": "2",
    "object_attention": "40",
    "ram": "60",
    "record_your_own_model": "8",
    "what_where": "20",
}
WITH_DATA = {"human_comparison"}
NAMES = sorted({path.stem for path in NOTEBOOKS.iterdir() if path.suffix in (".py", ".ipynb")})


def code_cells(notebook):
    return [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"]


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def test_every_notebook_has_its_size_for_tests():
    assert set(NAMES) == set(SMALL)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_and_its_script_hold_the_same_cells(name):
    script = jupytext.read(NOTEBOOKS / f"{name}.py")
    notebook = read(name)
    assert code_cells(notebook) == code_cells(script)
    texts = [
        [cell.source.strip() for cell in each.cells if cell.cell_type == "markdown"]
        for each in (notebook, script)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_was_executed_in_order_without_errors(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


def run(name, folder, monkeypatch):
    """Return the outputs of a notebook's script, run in `folder`."""
    monkeypatch.setenv("ATTNSCI_NOTEBOOK_N", SMALL[name])
    monkeypatch.setenv("IPYTHONDIR", str(folder))
    # Whether widgets are installed for progress bars is the reader's business; no other warning.
    monkeypatch.setenv("PYTHONWARNINGS", "default,ignore:IProgress not found")
    # They draw into themselves, and the tests into nothing.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute()
    return [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_at_reduced_size(name, tmp_path, monkeypatch, request):
    if name in WITH_DATA:
        request.getfixturevalue("data_root")
    outputs = run(name, tmp_path, monkeypatch)
    kinds = {mime for output in outputs for mime in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", sorted(WITH_DATA))
def test_a_notebook_without_its_data_says_so_and_stops(name, tmp_path, monkeypatch):
    for variable in ("ATTNSCI_DATA", "ATTNSCI_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path))
    (said,) = run(name, tmp_path, monkeypatch)
    assert said.name == "stdout"
    assert "was not found" in said.text and "attnsci datasets get" in said.text
    assert said.text.rstrip().endswith("The cells below are skipped.")
