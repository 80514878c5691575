"""Run each percent-script, and write it with what it printed and drew as a notebook beside it, for Jupyter and Colab.

    python notebooks/pair.py                # all
    python notebooks/pair.py bigram         # one

The script is the source: cells begin with `# %%`, or `# %% [markdown]` for text in comments (the format that jupytext and
editors know). What a cell tagged `nbval-ignore-output` prints may differ between machines.
"""

import base64
import contextlib
import io
import json
import re
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt

from gpt_from_scratch.support.storage.files import write_text

FOLDER = Path(__file__).parent
VARIES = "nbval-ignore-output"
INK = {"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80, "figure.constrained_layout.use": True}


class Cell(NamedTuple):
    """A part of a percent-script: text, or code with its tags."""

    text: str
    is_code: bool
    tags: tuple[str, ...] = ()


Outputs = list[dict[str, Any]]
"""What one cell printed and drew, as a notebook's file has it."""


def scripts() -> list[Path]:
    """The percent-scripts of this folder."""
    return sorted(path for path in FOLDER.glob("*.py") if path.read_text(encoding="utf-8").startswith("# %%"))


def cells(script: str) -> list[Cell]:
    """The cells of a percent-script."""
    found = []
    for part in f"\n{script}".split("\n# %%")[1:]:
        head, _, body = part.partition("\n")
        text = body.strip("\n")
        if head.strip() == "[markdown]":
            found.append(Cell("\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines()), False))
        else:
            found.append(Cell(text, True, tuple(re.findall(r'"([^"]+)"', head))))
    return found


def run(script: str) -> list[Outputs]:
    """The outputs of each code cell, run one after another in one name space."""
    matplotlib.use("agg")
    names: dict[str, Any] = {}
    outputs = []
    shown = plt.show
    with tempfile.TemporaryDirectory() as folder, matplotlib.rc_context(INK):
        for number, cell in enumerate(one for one in cells(script) if one.is_code):
            made: Outputs = []
            said = io.StringIO()

            def show(made: Outputs = made, said: io.StringIO = said) -> None:
                _keep_text(made, said)
                picture = io.BytesIO()
                plt.gcf().savefig(picture, format="png")
                plt.close("all")
                data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": ["a figure"]}
                made.append({"output_type": "display_data", "data": data, "metadata": {}})

            plt.show = show
            path = Path(folder) / f"cell_{number}.py"
            path.write_text(cell.text, encoding="utf-8")
            try:
                with contextlib.redirect_stdout(said):
                    names = runpy.run_path(str(path), names)
            finally:
                plt.show = shown
                plt.close("all")
            _keep_text(made, said)
            outputs.append(made)
    return outputs


def _keep_text(made: Outputs, said: io.StringIO) -> None:
    """What was printed since the last output becomes one."""
    if text := said.getvalue():
        made.append({"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)})
    said.seek(0)
    said.truncate()


def notebook(script: str, outputs: list[Outputs] | None = None) -> str:
    """The .ipynb document of a percent-script, with the outputs of its code cells or without any."""
    written: list[dict[str, Any]] = []
    made = iter(outputs or [])
    for number, cell in enumerate(cells(script)):
        entry = {"id": f"cell-{number}", "metadata": {"tags": list(cell.tags)} if cell.tags else {}}
        entry["source"] = cell.text.splitlines(keepends=True)
        kind: dict[str, Any] = {"cell_type": "markdown"}
        if cell.is_code:
            kind = {"cell_type": "code", "execution_count": None, "outputs": next(made, [])}
        written.append({**kind, **entry})
    language = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": written, "metadata": language, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


if __name__ == "__main__":
    for path in scripts():
        if path.stem in sys.argv[1:] or not sys.argv[1:]:
            script = path.read_text(encoding="utf-8")
            write_text(path.with_suffix(".ipynb"), notebook(script, run(script)))
            print(f"wrote {path.with_suffix('.ipynb')}", flush=True)
