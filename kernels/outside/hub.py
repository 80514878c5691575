"""Kernels from Hugging Face's hub or from a folder built by its `kernels` library, registered only after the parity cases.

A kernel's module either registers its backends itself, or has functions with the names and parameters of ops; these become
the backend that has the kernel's name.
"""

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from gpt_from_scratch.kernels.proof.check import check_backend
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.devices import accelerator
from gpt_from_scratch.support.own_modules import import_file

LIBRARY = "kernels"
_taken: dict[str, ModuleType] = {}


class WrongKernel(ValueError):
    """A kernel fails the parity rule and is not registered."""


def take(repository: str) -> ModuleType:
    """Download, load and register "org/name", or "org/name@revision".

    Raises:
        WrongKernel: it fails a parity case; RuntimeError: the `kernels` library is not installed.
    """
    name, _, revision = repository.partition("@")
    return _registered(name, lambda: library().get_kernel(name, revision=revision or "main"))


def take_folder(folder: Path) -> ModuleType:
    """Load and register the kernel in a folder, whose `build/` has variants as the hub's repositories have them.

    Raises:
        WrongKernel: it fails a parity case; RuntimeError: the `kernels` library is not installed.
    """
    folder = folder.resolve()
    return _registered(str(folder), lambda: library().get_local_kernel(folder))


def library() -> ModuleType:
    """Hugging Face's `kernels`, even if our folder of the same name is found on sys.path.

    Raises:
        RuntimeError: it is not installed.
    """
    try:
        place = Path(str(importlib.metadata.distribution(LIBRARY).locate_file(LIBRARY)))
    except importlib.metadata.PackageNotFoundError:
        raise RuntimeError(f"kernels of the hub need the library `kernels`: {how_to_install('hub')}") from None
    known = sys.modules.get(LIBRARY)
    if known is not None and Path(str(known.__file__)).parent == place:
        return known
    for name in [name for name in sys.modules if name == LIBRARY or name.startswith(f"{LIBRARY}.")]:
        del sys.modules[name]  # ours, imported by that name from the working folder
    return import_file(LIBRARY, place / "__init__.py")


def _registered(name: str, load: Callable[[], ModuleType]) -> ModuleType:
    if name in _taken:
        return _taken[name]
    ops = load_ops()
    before = {made.name: dict(made.backends) for made in ops.values()}
    try:
        module = load()
        if all(made.backends == before[made.name] for made in ops.values()):
            for made in ops.values():
                if callable(function := getattr(module, made.name, None)):
                    made.backend(Path(name).name)(function)
        for made in ops.values():
            for backend in made.backends.keys() - before[made.name].keys():
                for group in check_backend(made, backend, accelerator().type):
                    if group.wrong is not None:
                        raise WrongKernel(f"{name} is refused: its {made.name} is wrong on {group.wrong}")
    except BaseException:
        for made in ops.values():
            made.forget(made.backends.keys() - before[made.name].keys())
        raise
    _taken[name] = module
    return module
