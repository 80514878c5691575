"""The architecture: who may import whom, what stays lazy, and what may not be in the package at all."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "gpt_from_scratch"
MAY_IMPORT = {
    "support": set(),
    "kernels": {"support"},
    "models": {"support", "kernels", "tokenizer"},
    "tokenizer": {"support"},
    "evals": {"support", "kernels", "models", "tokenizer"},
    "training": {"support", "kernels", "models", "tokenizer", "evals"},
    "benchmarks": {"support", "kernels", "models", "tokenizer", "evals", "training"},
}
IN_SUPPORT = ("torch", "tyro", "zstandard")
"""What support/ may import beside the standard library, lazily where those that use it are light (test below)."""
BOOTSTRAP = ROOT / "support" / "bootstrap.py"
SOURCES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # What is copied beside a model's weights finds its other file as transformers wants it.
            assert node.level == 0 or path.stem == "modeling_gpt_from_scratch", f"{path}: relative import"
            yield str(node.module)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == NAME and len(parts) > 1:
            assert parts[1] == folder or parts[1] in MAY_IMPORT[folder], f"{folder}/ may not import {name}"
        assert parts[0] not in MAY_IMPORT, f"import {NAME}.{name}, not {name}"
        if path == BOOTSTRAP:
            assert parts[0] in sys.stdlib_module_names, f"{path.name} runs before anything is installed: no {name}"
        elif folder == "support" and parts[0] != NAME:
            allowed = parts[0] in sys.stdlib_module_names or parts[0] in IN_SUPPORT
            assert allowed, f"support/ is standard library and {', '.join(IN_SUPPORT)} only, not {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_read_is_ever_executed(path: Path) -> None:
    assert not {"pickle", "cPickle", "dill", "marshal", "shelve"} & {name.split(".")[0] for name in imports(path)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile"}, f"{path}:{node.lineno}"
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "torch.load":
                keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert keywords.get("weights_only") == "True", (
                    f"{path}:{node.lineno}: torch.load needs weights_only=True"
                )


def test_no_file_shadows_a_module() -> None:
    """A script's own folder comes first on sys.path, so training/profile.py would break torch."""
    taken = set(sys.stdlib_module_names) | {
        "torch",
        "triton",
        "numpy",
        "numba",
        "regex",
        "tyro",
        "rich",
        "transformers",
        "tiktoken",
    }
    for path in SOURCES:
        assert path.stem not in taken, path


def test_the_root_holds_no_package() -> None:
    assert not (ROOT / "__init__.py").exists()
    assert not (ROOT / "conftest.py").exists()


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_evals_and_tokenizer_import_without_heavy_packages() -> None:
    heavy = {"torch", "openai", "anthropic", "pandas", "transformers", "triton"}
    assert not heavy & loaded_after("import gpt_from_scratch.evals")
    assert not heavy & loaded_after("import gpt_from_scratch.tokenizer")
