"""Every notebook runs from top to bottom in reduced size, and is what its script says."""

import importlib.util
import json
import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
spec = importlib.util.spec_from_file_location("notebooks_pair", NOTEBOOKS / "pair.py")
assert spec is not None and spec.loader is not None
pair = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pair)


@pytest.mark.parametrize("script", pair.scripts(), ids=lambda path: path.stem)
def test_it_runs(script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NOTEBOOK_QUICK", "1")
    matplotlib.use("agg")
    drawn: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: drawn.append(len(plt.gcf().axes)))
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(script))
    finally:
        torch.set_num_threads(threads)
        plt.close("all")
    assert drawn and all(drawn), "each draws at least one figure"
    assert capsys.readouterr().out


@pytest.mark.parametrize("script", pair.scripts(), ids=lambda path: path.stem)
def test_the_notebook_is_what_its_script_says(script: Path) -> None:
    written = script.with_suffix(".ipynb")
    assert written.read_text(encoding="utf-8") == pair.notebook(script.read_text(encoding="utf-8")), (
        "run: python notebooks/pair.py"
    )
    first = next(
        cell for cell in json.loads(written.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
    )
    assert any(line.startswith("REPO = ") for line in first["source"]), "the first cell installs from REPO"


def test_cells_keep_their_kind_and_text() -> None:
    script = "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1\n\ny = 2\n"
    cells = json.loads(pair.notebook(script))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code"]
    assert ["".join(cell["source"]) for cell in cells] == ["# Title\n\ntext", "x = 1\n\ny = 2"]
