"""An op is known in its folder and by the models that call it: all else is made from what the folder declares."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPS = ROOT / "kernels" / "ops"
NAMES = {path.parent.name for path in OPS.glob("*/reference.py")}
FOLDERS = ("kernels", "tokenizer", "evals", "training", "benchmarks", "support")
EXPECTED = {
    "kernels/__init__.py": "the public names, for type checkers: at run time they are read from the folder",
    "evals/serve/attention.py": "a path of the server, which gives the maps of a model's heads",
    "training/run/summary.py": "`gpt attention` is a command, which draws a model's",
    "benchmarks/cpu/step_contenders.py": "a kind of torch's operations in a profile",
}


def said(path: Path) -> Iterator[tuple[int, str]]:
    """Lines on which code, not prose, says an op's name: in an import, or as a text that is the name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            words = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            if str(node.module).startswith("gpt_from_scratch.kernels"):
                yield from ((node.lineno, word) for word in words if word in NAMES)
        elif isinstance(node, ast.Import):
            words = [part for alias in node.names for part in alias.name.split(".")]
            yield from ((node.lineno, word) for word in words if word in NAMES)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((node.lineno, name) for name in NAMES if node.value == name)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_op_is_named_outside_its_folder(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        place = str(path.relative_to(ROOT))
        found = [] if OPS in path.parents else list(said(path))
        if place in EXPECTED:
            assert found, f"{place} names no op any more: strike it from the list"
            continue
        assert not found, (
            f"{place}:{found[0][0]} names the op {found[0][1]!r}: its folder should declare what is needed"
        )
