"""Write the notebook beside each percent-script, so that it opens in Jupyter and Colab.

    python notebooks/pair.py

The script is the source: cells begin with `# %%`, or `# %% [markdown]` for text in comments (the format that jupytext and
editors know). Notebooks carry no output.
"""

import json
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.files import write_text

FOLDER = Path(__file__).parent


def scripts() -> list[Path]:
    """The percent-scripts of this folder."""
    return sorted(path for path in FOLDER.glob("*.py") if path.read_text(encoding="utf-8").startswith("# %%"))


def notebook(script: str) -> str:
    """The .ipynb document of a percent-script."""
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(f"\n{script}".split("\n# %%")[1:]):
        head, _, body = part.partition("\n")
        markdown = head.strip() == "[markdown]"
        text = body.strip("\n")
        if markdown:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines())
        cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        kind = {"cell_type": "markdown"} if markdown else {"cell_type": "code", "execution_count": None, "outputs": []}
        cells.append({**kind, **cell})
    language = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": language, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


if __name__ == "__main__":
    for path in scripts():
        write_text(path.with_suffix(".ipynb"), notebook(path.read_text(encoding="utf-8")))
