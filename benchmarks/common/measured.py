"""Results files, and the tables generated from them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpt_from_scratch.kernels.proof.sources import source_hash

NOT_MEASURED = "not measured yet"
Table = Callable[[Path], list[str]]
"""The lines of a Markdown table, from the folder of the results."""


def read(path: Path) -> Any | None:
    """The content of a results file; None if nothing has been measured."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def table_of(file: str) -> Callable[[Callable[[Any], list[str]]], Table]:
    """Make a table of what `file` holds from a function of that; where it is not there yet, the table says so."""

    def made(function: Callable[[Any], list[str]]) -> Table:
        def table(results: Path) -> list[str]:
            report = read(results / file)
            return [NOT_MEASURED] if report is None else function(report)

        return table

    return made


def since(environment: dict[str, str]) -> str:
    """Whether the kernels are still those that were measured."""
    same = environment.get("kernel sources") == source_hash()
    return "the kernels are unchanged since" if same else "the kernels changed since this was measured"
