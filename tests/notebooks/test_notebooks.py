"""The notebooks: each is what its script says, and holds what its cells print and draw when they run."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from gpt_from_scratch.support.pages.theme import COLORS

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
spec = importlib.util.spec_from_file_location("notebooks_pair", NOTEBOOKS / "pair.py")
assert spec is not None and spec.loader is not None
pair = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pair)
each = pytest.mark.parametrize("script", pair.scripts(), ids=lambda path: path.stem)
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")


def stored(script: Path) -> list[dict[str, Any]]:
    """The cells of the notebook beside a script."""
    cells: list[dict[str, Any]] = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    return cells


def numbers(text: str) -> list[float]:
    return [float(one.replace(",", "")) for one in NUMBER.findall(text)]


def said(outputs: list[dict[str, Any]]) -> str:
    return "".join("".join(one["text"]) for one in outputs if one["output_type"] == "stream")


@each
def test_the_notebook_is_what_its_script_says(script: Path) -> None:
    cells = stored(script)
    outputs = [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]
    written = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == pair.notebook(script.read_text(encoding="utf-8"), outputs), "run: python notebooks/pair.py"
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("import importlib"):
            kinds = {output["output_type"] for output in cell["outputs"]}
            assert not re.search(r"^ *print\(", source, re.MULTILINE) or "stream" in kinds
            assert not re.search(r"^ *(plt\.)?show\(", source, re.MULTILINE) or "display_data" in kinds
    assert any(output["output_type"] == "display_data" for one in outputs for output in one), "each draws something"
    words = sum(len("".join(cell["source"]).split()) for cell in cells if cell["cell_type"] == "markdown")
    assert words >= 200, "a notebook teaches"
    assert set(re.findall(r"#[0-9a-f]{6}\b", written)) <= {*COLORS, "#8a949c"}, "the colours are those of all pictures"


@pytest.mark.harness
@each
def test_its_cells_print_and_draw_what_is_stored(script: Path) -> None:
    """Numbers may differ a little between processors, what a tagged cell prints altogether."""
    threads = torch.get_num_threads()
    try:
        outputs = pair.run(script.read_text(encoding="utf-8"))
    finally:
        torch.set_num_threads(threads)
    cells = [cell for cell in stored(script) if cell["cell_type"] == "code"]
    assert len(outputs) == len(cells)
    for made, cell in zip(outputs, cells, strict=True):
        assert [one["output_type"] for one in made] == [one["output_type"] for one in cell["outputs"]]
        if pair.VARIES in cell["metadata"].get("tags", []):
            continue
        ours, theirs = said(made), said(cell["outputs"])
        assert NUMBER.sub("N", ours) == NUMBER.sub("N", theirs)
        assert numbers(ours) == pytest.approx(numbers(theirs), rel=0.03, abs=0.05)


@pytest.mark.parametrize(
    ("folder", "repo", "source"),
    [
        ("notebooks", "", "{clone}"),
        ("content", "", "provengpt"),
        ("content", "https://example.org/gpt.git", "git+https://example.org/gpt.git"),
    ],
    ids=["in a clone", "in Colab", "in Colab, from a repository"],
)
@each
def test_the_first_cell_brings_the_package(
    script: Path, folder: str, repo: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    for place in (clone / "notebooks", tmp_path / "content"):
        place.mkdir(parents=True)
    (clone / "pyproject.toml").touch()
    monkeypatch.chdir(clone / "notebooks" if folder == "notebooks" else tmp_path / folder)
    monkeypatch.setenv("REPO", repo)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command[1:]))
    first = next(cell.text for cell in pair.cells(script.read_text(encoding="utf-8")) if cell.is_code)
    assert pair.run(f"# %%\n{first}") == [[]]
    assert ran == [["-m", "pip", "install", "-q", source.format(clone=clone)]]


def test_cells_keep_their_kind_text_and_outputs() -> None:
    script = (
        '# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1\n\ny = 2\n\n# %% tags=["a"]\nprint(x + y)\nprint(3)\n'
    )
    outputs = pair.run(script)
    assert outputs == [[], [{"output_type": "stream", "name": "stdout", "text": ["3\n", "3\n"]}]]
    cells = json.loads(pair.notebook(script, outputs))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code"]
    assert ["".join(cell["source"]) for cell in cells] == [
        "# Title\n\ntext",
        "x = 1\n\ny = 2",
        "print(x + y)\nprint(3)",
    ]
    assert [cell.get("outputs") for cell in cells] == [None, *outputs]
    assert cells[2]["metadata"] == {"tags": ["a"]}


def test_what_is_printed_and_drawn_keeps_its_order() -> None:
    show = plt.show
    (made,) = pair.run("# %%\nimport matplotlib.pyplot as plt\nprint(1)\nplt.plot([1, 2])\nplt.show()\nprint(2)\n")
    assert [one["output_type"] for one in made] == ["stream", "display_data", "stream"]
    assert made[1]["data"]["image/png"].startswith("iVBOR")
    assert plt.show is show and not plt.get_fignums()
