"""Backends in the user's modules: files or packages that register with `@op.backend(...)` when they are imported.

A distribution declares its modules in the entry-point group `gpt_from_scratch.backends`.
"""

import importlib.metadata
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from gpt_from_scratch.kernels.outside import hub
from gpt_from_scratch.kernels.registry import Op, load_ops
from gpt_from_scratch.support.own_modules import import_own

OPTION = "--backend-module"
GROUP = "gpt_from_scratch.backends"
HUB = "hub:"


def import_backends(modules: Iterable[str]) -> None:
    """Import modules, after those of entry points, so that their backends can be used like ours.

    A module is "my_kernels.py", "package.module", "hub:org/name", or a folder with a kernel that Hugging Face's `kernels`
    library has built. A package is searched on sys.path and in the current folder. Modules that are already imported are
    not reloaded.

    Raises:
        FileNotFoundError: there is no such file; ValueError: it cannot be imported, registers no backend, or is a hub
            kernel that fails the parity rule.
    """
    for entry in importlib.metadata.entry_points(group=GROUP):
        what = f"entry point {entry.name} = {entry.value} in {GROUP}"
        _take(what, lambda entry=entry, what=what: _worded(what, entry.load))  # type: ignore[misc]
    for name in modules:
        _take(f"{OPTION} {name}", lambda name=name: _import(name))  # type: ignore[misc]


def foreign_backends() -> Iterator[tuple[Op[Any], str]]:
    """The external backends of each op that are imported in this process."""
    for made in load_ops().values():
        yield from ((made, name) for name in made.backends if made.is_foreign(name))


def _take(what: str, load: Callable[[], ModuleType]) -> None:
    before = _registered()
    module = load()
    if _registered() == before and not getattr(module, "__registers_backends__", False):
        raise ValueError(
            f"{what} registers no backend: decorate a function with @layer_norm.backend('mine'), "
            "say, after `from gpt_from_scratch.kernels.ops.layer_norm import layer_norm`"
        )
    module.__dict__["__registers_backends__"] = True


def _registered() -> set[tuple[str, str]]:
    return {(made.name, backend) for made in load_ops().values() for backend in made.backends}


def _import(name: str) -> ModuleType:
    if name.startswith(HUB):
        return _worded(f"{OPTION} {name}", lambda: hub.take(name.removeprefix(HUB)))
    if Path(name).is_dir():
        return _worded(f"{OPTION} {name}", lambda: hub.take_folder(Path(name)))
    return import_own(name, OPTION)


def _worded(what: str, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        return load()
    except hub.WrongKernel:
        raise
    except Exception as error:  # external code may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = next(iter(str(error).splitlines()), "")
        place = f"{Path(where.filename).name}, line {where.lineno}"
        raise ValueError(f"{what}: {type(error).__name__}: {said} ({place})") from error
