"""The user's modules, given as a file "my_functions.py" or as "package.module"."""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType


def import_own(name: str, option: str) -> ModuleType:
    """Import a module that an option names, unless it is already imported.

    A package is searched on sys.path and in the current folder.

    Raises:
        FileNotFoundError: there is no such file; ValueError: it cannot be imported. Both name `option`.
    """
    try:
        return _from_file(Path(name), option) if name.endswith(".py") or os.sep in name else _from_path(name)
    except FileNotFoundError:
        raise
    except Exception as error:  # a user's module may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise ValueError(
            f"{option} {name}: {type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
        ) from error


def _from_file(path: Path, option: str) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"{option} {path}: there is no such file (from {Path.cwd()})")
    path = path.resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"  # two files may have the same name
    if name in sys.modules:
        return sys.modules[name]
    return import_file(name, path)


def import_file(name: str, path: Path) -> ModuleType:
    """Import the file at `path` as the module `name`, or an `__init__.py` as a package.

    Raises:
        any error of the file; the name is then free again.
    """
    inside = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=inside)
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
