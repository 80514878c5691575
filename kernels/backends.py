"""Backends of an op: their declarations, parsed from a file's source before it is imported, and the choice of one."""

import ast
import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from gpt_from_scratch.kernels.requirements import Needs, needs_of

R = TypeVar("R")
EVERY_OP = "*"


@dataclass
class Backend:
    """One implementation of an op. `function` is None until `module` has been imported."""

    name: str
    needs: Needs
    module: str
    function: Callable[..., Any] | None = None
    limits: Callable[..., str | None] | None = None


@dataclass(frozen=True)
class Choice:
    """A chosen backend with the reason."""

    op: str
    backend: str
    reason: str


def declared_in(folder: Path, op_name: str, reference_module: str) -> Iterator[Backend]:
    """Parse the backend declarations in an op's folder, without importing its files."""
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            for call in function.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == f"{op_name}.backend":
                    module = f"{reference_module.rpartition('.')[0]}.{path.stem}"
                    try:
                        name = ast.literal_eval(call.args[0])
                        literals = {
                            k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg and k.arg != "limits"
                        }
                    except (ValueError, IndexError) as error:
                        raise ValueError(
                            f"{path}:{call.lineno}: the arguments of @{op_name}.backend(...) must be literals: they are read "
                            f"before the file is imported ({error})"
                        ) from error
                    yield Backend(name, needs_of(**literals), module)


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def shown(parameters: list[tuple[str, Any, Any]]) -> str:
    return ", ".join(
        name if default is inspect.Parameter.empty else f"{name}={default!r}" for name, _, default in parameters
    )


def compiled(reference: Callable[..., R]) -> Callable[..., R]:
    """torch.compile(reference), made at the first call, because importing Dynamo takes a second."""
    made: Callable[..., R] | None = None

    def call(*args: Any, **kwargs: Any) -> R:
        nonlocal made
        if torch.compiler.is_compiling():  # part of a larger graph
            return reference(*args, **kwargs)
        if made is None:
            made = torch.compile(reference, fullgraph=True)
        return made(*args, **kwargs)

    return call


def unknown(name: str, known: Iterable[str], kind: str = "backend") -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {kind} {name!r}; known: {', '.join(known)}{hint}"


def in_force() -> dict[str, str]:
    """The explicit choices, {op or "*": backend}."""
    return _in_force


def put_in_force(choices: dict[str, str]) -> dict[str, str]:
    """Replace the explicit choices, and return those before; `choices.py` has what a caller uses."""
    global _in_force
    before, _in_force = _in_force, choices
    return before


def as_choices(text: str) -> dict[str, str]:
    """Turn "torch" or "attention=torch,layer_norm=reference" into {op or "*": backend}, not checked."""
    pairs = [part.strip().rpartition("=") for part in text.split(",") if part.strip()]
    return {op_name or EVERY_OP: backend for op_name, _, backend in pairs}


# GPT_BACKEND; an unknown name raises when the first op is called: an import never does.
_in_force: dict[str, str] = as_choices(os.environ.get("GPT_BACKEND", ""))
