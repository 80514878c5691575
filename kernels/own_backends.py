"""Backends in modules of the user's own: files or packages that register with `@op.backend(...)` when they are imported."""

from collections.abc import Iterable

from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.support.own_modules import import_own


def import_backends(modules: Iterable[str]) -> None:
    """Import each, "my_kernels.py" or "package.module", so that its backends can be chosen, timed and listed like ours.

    A package is looked for on sys.path and in the current folder. What is imported already stays as it is.

    Raises:
        FileNotFoundError: there is no such file; ValueError: it cannot be imported, or registers no backend.
    """
    for name in modules:
        before = _registered()
        module = import_own(name, "--backend-module")
        if _registered() == before and not getattr(module, "__registers_backends__", False):
            raise ValueError(
                f"--backend-module {name} registers no backend: decorate a function with @layer_norm.backend('mine'), "
                "say, after `from gpt_from_scratch.kernels.ops.layer_norm import layer_norm`"
            )
        module.__dict__["__registers_backends__"] = True


def _registered() -> set[tuple[str, str]]:
    return {(made.name, backend) for made in load_ops().values() for backend in made.backends}
