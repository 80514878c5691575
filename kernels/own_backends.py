"""Backends in modules of the user's own: files or packages that register with `@op.backend(...)` when they are imported."""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from gpt_from_scratch.kernels.registry import load_ops


def import_backends(modules: Iterable[str]) -> None:
    """Import each, "my_kernels.py" or "package.module", so that its backends can be chosen, timed and listed like ours.

    A package is looked for on sys.path and in the current folder. What is imported already stays as it is.

    Raises:
        FileNotFoundError: there is no such file; ValueError: it cannot be imported, or registers no backend.
    """
    for name in modules:
        before = _registered()
        try:
            module = _from_file(Path(name)) if name.endswith(".py") or os.sep in name else _from_path(name)
        except FileNotFoundError:
            raise
        except Exception as error:  # a module of the user's may raise anything, and all of it is theirs to mend
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise ValueError(
                f"--backend-module {name}: {type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
            ) from error
        if _registered() == before and not getattr(module, "__registers_backends__", False):
            raise ValueError(
                f"--backend-module {name} registers no backend: decorate a function with @layer_norm.backend('mine'), "
                "say, after `from gpt_from_scratch.kernels.ops.layer_norm import layer_norm`"
            )
        module.__dict__["__registers_backends__"] = True


def _registered() -> set[tuple[str, str]]:
    return {(made.name, backend) for made in load_ops().values() for backend in made.backends}


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"--backend-module {path}: there is no such file (from {Path.cwd()})")
    path = path.resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"  # two files may have one name
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a name that ends with .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # triton and pickling of functions look a module up by its name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_path(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:  # as `python -m` does, but after all else
        sys.path.append(str(Path.cwd()))
    return importlib.import_module(name)
