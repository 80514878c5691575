"""Backends of an op: their declarations, parsed from a file's source before it is imported, and the choice of one.

On a GPU the default is what was measured. A kernel of ours comes before torch's own where it was at least as fast on this chip,
in this dtype and at about this shape, or where deterministic algorithms are asked for: all of ours are deterministic.
"""

import ast
import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from gpt_from_scratch.kernels.launch_config import Measured, nearest
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


@dataclass(frozen=True)
class Place:
    """The shape of a call, as its op's measurements count it: a head size or width, and tokens or rows."""

    dtype: torch.dtype
    size: int
    length: int


# The reference follows these; an op may declare others. mps is not measured yet; on a Mac use `--backend fastest`.
PREFERENCE: dict[str, tuple[str, ...]] = {
    "cuda": ("triton", "torch"),
    "mps": ("torch", "compiled"),
    "cpu": (),
}
NO_OTHER = ""
"""The place of a call for which torch has no kernel, but only operations one after the other."""
NOT_OURS = ("torch", "compiled", "reference")
DTYPES = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32", torch.float64: "fp64"}


@functools.cache
def chip_of(device: torch.device) -> str:
    """The name of a GPU, such as "NVIDIA H200"; empty where there is none."""
    return torch.cuda.get_device_name(device) if torch.cuda.is_available() else ""


# What `torch.compiler.assume_constant_result` does, which imports Dynamo, and that takes a second.
chip_of._dynamo_marked_constant = True  # type: ignore[attr-defined]


def verdict(
    measured: Sequence[Measured], chip: str, place: Place | str | None, *, deterministic: bool
) -> tuple[bool, str]:
    """Whether a kernel of ours comes before torch's own, and why.

    Args:
        place: the shape of the call; in words, a kind of call that is never measured; or None: of any shape.
    """
    if place == NO_OTHER:
        return True, "torch has no kernel of its own for these arguments"
    if deterministic:
        return True, "deterministic algorithms are asked for, and it is deterministic"
    here = [line for line in measured if line.chip in chip.split()]
    if not here:
        return False, f"never measured on {chip}" if chip else "there is no GPU to have measured"
    if isinstance(place, str):
        return False, f"never measured {place}"
    if place is None:
        slower = [line for line in here if not line.as_fast]
        return not slower, str(slower[0] if slower else here[0])
    dtype = DTYPES.get(place.dtype, str(place.dtype))
    line = nearest(here, dtype, place.size, place.length)
    if line is None:
        return False, f"never measured on {here[0].chip} in {dtype} at about this shape"
    return line.as_fast, str(line)


Reasons = list[tuple[str, str]]
"""Backends, each with a reason."""


@dataclass(frozen=True)
class Preference:
    """The order of an op's backends where nobody chooses one; the reference comes last.

    Attributes:
        own: by type of device, in place of `PREFERENCE`'s.
        measured: measurements of its own kernel on GPUs.
        place: takes the op's arguments and gives the shape by which a measurement is found, or says in words what sort of call
            is never measured.
    """

    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measured: tuple[Measured, ...] = ()
    place: Callable[..., Place | str] | None = None

    def ranked(
        self, device: torch.device, known: Iterable[str], place: Place | str | None, deterministic: bool | None = None
    ) -> tuple[Reasons, Reasons]:
        """The `known` backends to take, in order; and those of ours that were not measured to be as fast.

        Args:
            deterministic: whether determinism is asked for; None: as torch is told.
        """
        first: Reasons = []
        later: Reasons = []
        for name in self._names(device, known):
            if device.type != "cuda" or name in NOT_OURS:
                first.append((name, f"preferred on {device.type}"))
                continue
            asked = torch.are_deterministic_algorithms_enabled() if deterministic is None else deterministic
            good, why = verdict(self.measured, chip_of(device), place, deterministic=asked)
            (first if good else later).append((name, why))
        return first, later

    def _names(self, device: torch.device, known: Iterable[str]) -> list[str]:
        own = self.own.get(device.type)
        return [name for name in (PREFERENCE.get(device.type, ()) if own is None else own) if name in known]

    def order(
        self, device: torch.device, known: Iterable[str], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[str]:
        """The backends to try for a call."""
        if device.type != "cuda":  # nothing is measured there, and every call passes here
            return self._names(device, known)
        place = self.place(*args, **kwargs) if self.place is not None else None
        first, later = self.ranked(device, known, place)
        return [name for name, _ in (*first, *later)]

    def choose(
        self,
        op: str,
        device: torch.device,
        missing: Mapping[str, str | None],
        arguments: Mapping[str, Any] | None,
        deterministic: bool | None,
    ) -> Choice:
        """The first that can run: `missing` says of each backend why it cannot, or None."""
        place = None if arguments is None or self.place is None else self.place(**arguments)
        first, later = self.ranked(device, missing, place, deterministic)
        passed = [f"not {name}: {missing[name] or why}" for name, why in later]
        for name, why in first:
            if missing[name] is None:
                return Choice(op, name, _because(why, passed))
            passed.append(f"not {name}: {missing[name]}")
        for name, why in later:
            if missing[name] is None:
                return Choice(op, name, f"nothing else is preferred here; {why}")
        return Choice(op, "reference", _because(f"the reference is the default on {device.type}", passed))


def _because(reason: str, passed: list[str]) -> str:
    return f"{reason} ({'; '.join(passed)})" if passed else reason


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
