"""Ops and their backends: the reference function *is* the op, and every other implementation registers on it.

    @op(cases=layer_norm_cases, scale=layer_norm_scale)
    def layer_norm(x, weight, bias, eps=1e-5): ...       # kernels/ops/layer_norm/reference.py: the definition, in eager PyTorch

    @layer_norm.backend("triton", toolchain="triton")
    def layer_norm_triton(x, weight, bias, eps=1e-5): ...  # kernels/ops/layer_norm/triton_kernel.py

    layer_norm(x, w, b)                        # the device's preferred backend
    layer_norm(x, w, b, backend="torch")       # exactly this one, or an error that says why not
    with use_backend("reference"): ...         # a whole region

Order of decision: argument, `use_backend`, the environment variable GPT_BACKEND, the device's preference, which on a GPU is
what was measured (`backends.Preference`). An explicit choice never falls back. A new backend is one new file in the op's
folder: the decorator's literal arguments are read from its source, so that what it needs is known before it is imported.

`choices.py` decides for a region or a run. The choices in force are a plain module global because Dynamo cannot trace a
ContextVar, and a choice is not memoised inside the call because that costs a recompile (both measured).
"""

import functools
import importlib
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from gpt_from_scratch.kernels.backends import (
    EVERY_OP,
    Backend,
    Choice,
    Preference,
    compiled,
    declared_in,
    in_force,
    parameters,
    shown,
    unknown,
)
from gpt_from_scratch.kernels.cases import Case, Scale, in_other_layouts
from gpt_from_scratch.kernels.requirements import Needs, needs_of
from gpt_from_scratch.kernels.spec import Spec

R = TypeVar("R")

OPS: "dict[str, Op[Any]]" = {}


class Op(Generic[R]):
    """An operation: callable like its reference, with the extra keyword `backend`."""

    def __init__(
        self,
        reference: Callable[..., R],
        cases: Callable[[], Iterable[Case]],
        scale: Callable[..., Scale],
        check: Callable[..., None],
        preference: Preference,
    ) -> None:
        self.name = reference.__name__
        self.__doc__ = reference.__doc__
        self.reference = reference
        self.declared_cases, self.scale, self.check = cases, scale, check
        self.preference = preference
        self.parameters = parameters(reference)
        self._layouts: list[Case] | None = None
        self.backends = {
            "reference": Backend("reference", Needs(), reference.__module__, reference),
            "compiled": Backend("compiled", Needs(compiler=True), reference.__module__, compiled(reference)),
        }
        # device type, and index of a GPU -> backend -> why it cannot run there
        self._missing: dict[tuple[str, int | None], dict[str, str | None]] = {}
        # Not inspect.getfile: the shape checks wrap the function. An op made elsewhere, in a notebook say, has no folder.
        file = sys.modules[reference.__module__].__file__
        self._folder = Path(file).parent if file is not None and Path(file).name == "reference.py" else None
        if self._folder is not None:
            for backend in declared_in(self._folder, self.name, reference.__module__):
                self._add(backend)

    def part(self, name: str) -> ModuleType | None:
        """Import the file `name`.py of the op's folder; None if there is none."""
        if self._folder is None or not (self._folder / f"{name}.py").exists():
            return None
        return importlib.import_module(f"{self.reference.__module__.rpartition('.')[0]}.{name}")

    @functools.cached_property
    def spec(self) -> Spec:
        """The spec in its folder's spec.py."""
        declared = self.part("spec")
        return Spec() if declared is None else typing.cast(Spec, declared.SPEC)

    def __call__(self, *args: Any, backend: str | None = None, **kwargs: Any) -> R:
        device = _device(self.name, args, kwargs)
        self.check(*args, **kwargs)
        if torch.is_autocast_enabled(device.type):  # an op's dtypes are its contract: autocast would change them inside
            with torch.autocast(device.type, enabled=False):
                return self._select(device, backend, args, kwargs)(*args, **kwargs)
        return self._select(device, backend, args, kwargs)(*args, **kwargs)

    def cases(self) -> Iterator[Case]:
        """The parity cases: those that the op declares, and one for each other layout of each of its tensors."""
        yield from self.declared_cases()
        if self._layouts is None:  # finding them makes every case's arguments once
            self._layouts = list(in_other_layouts(self.declared_cases()))
        yield from self._layouts

    def backend(
        self,
        name: str,
        *,
        toolchain: str | None = None,
        limits: Callable[..., str | None] | None = None,
        **needs: Any,
    ) -> Callable[[Callable[..., R]], Callable[..., R]]:
        """Register the decorated function as this op's backend `name`.

        All arguments but `limits` must be literals, since they are read from the source before it is imported.

        Args:
            toolchain: what the kernel is written with, as `requirements.TOOLCHAINS` knows it ("triton").
            needs: fields of `Needs` (devices, requires, capability, interpreter) beside or in place of the toolchain's.
            limits: takes the op's own arguments and says why the backend cannot serve them, or returns None.

        Raises:
            ValueError: the name is taken, or there is no such toolchain.
            TypeError: the function's parameters or defaults differ from the reference's, or a need that does not exist.
        """
        declared = needs_of(toolchain, **needs)
        limits = declared.also_of_arguments(limits)

        def register(function: Callable[..., R]) -> Callable[..., R]:
            if parameters(function) != self.parameters:
                raise TypeError(
                    f"{self.name}: backend {name!r} takes ({shown(parameters(function))}), "
                    f"but the reference takes ({shown(self.parameters)}); parameters and defaults must be the same"
                )
            known = self.backends.get(name)
            if known is None or known.module != function.__module__ or known.function is not None:
                self._add(Backend(name, declared, function.__module__, function, limits))
            else:
                known.function, known.limits = function, limits
            return function

        return register

    def why_not(self, name: str, device: str | torch.device, *args: Any, **kwargs: Any) -> str | None:
        """Why backend `name` cannot run on `device` (with these arguments, if any are given), or None if it can.

        Raises:
            ValueError: there is no such backend.
        """
        if name not in self.backends:
            raise ValueError(f"{self.name} has {unknown(name, self.backends)}")
        reason = self._reasons(torch.device(device))[name]
        if reason is not None or (not args and not kwargs):
            return reason
        return self._implementation(name, args, kwargs)[1]

    def choose(
        self,
        device: str | torch.device,
        name: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        deterministic: bool | None = None,
    ) -> Choice:
        """The backend for `device` and why: `name` or an override if there is one, else the device's preference.

        Args:
            arguments: the op's own, of which only types and shapes count; None: of all shapes.
            deterministic: whether determinism is asked for; None: as torch is told.

        Raises:
            ValueError: the chosen backend is unknown. RuntimeError: the chosen backend cannot run here.
        """
        device = torch.device(device)
        wanted = self._wanted(name)
        if wanted is not None:
            if (reason := self.why_not(wanted, device)) is not None:
                raise RuntimeError(f"{self.name}: backend {wanted!r} cannot run here: {reason}")
            return Choice(self.name, wanted, "chosen")
        return self.preference.choose(self.name, device, self._reasons(device), arguments, deterministic)

    def is_foreign(self, name: str) -> bool:
        """Whether a backend was registered by a module that is neither the reference's nor in the op's folder."""
        folder = self.reference.__module__.rpartition(".")[0]
        module = self.backends[name].module
        return module != self.reference.__module__ and module.rpartition(".")[0] != folder

    def forget(self, names: Iterable[str]) -> None:
        """Remove a registered backend."""
        for name in names:
            del self.backends[name]
        self._missing.clear()

    def load(self, device: str | torch.device) -> None:
        """Import every backend that can run on `device`."""
        for name, reason in self._reasons(torch.device(device)).items():
            if reason is None:
                self._load(name)

    def _select(
        self, device: torch.device, name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[..., R]:
        wanted = self._wanted(name)
        if wanted is not None:
            if self._reasons(device).get(wanted, "unknown") is not None:
                self.choose(device, wanted)  # raises with the reason
            function, reason = self._implementation(wanted, args, kwargs)
            if reason is not None:
                raise RuntimeError(f"{self.name}: backend {wanted!r} cannot take these arguments: {reason}")
            return function
        reasons = self._reasons(device)
        for candidate in self.preference.order(device, reasons, args, kwargs):
            if reasons[candidate] is None:
                function, reason = self._implementation(candidate, args, kwargs)
                if reason is None:
                    return function
        return self.reference

    def _wanted(self, name: str | None) -> str | None:
        """The explicit choice for this op: the argument, else the override; None where there is none."""
        if name is not None or not (chosen := in_force()):
            return name
        name = chosen.get(self.name)
        if name is None and (everywhere := chosen.get(EVERY_OP)) is not None:
            if everywhere in self.backends:
                return everywhere
            if everywhere not in known_backends():
                raise ValueError(unknown(everywhere, known_backends()))
        return name

    def _implementation(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Callable[..., R], str | None]:
        """A backend's function, imported if need be, and why it cannot take these arguments, if so."""
        self._load(name)
        backend = self.backends[name]
        assert backend.function is not None
        return backend.function, backend.limits(*args, **kwargs) if backend.limits is not None else None

    def _reasons(self, device: torch.device) -> dict[str, str | None]:
        place = (device.type, device.index)
        if place not in self._missing:
            self._missing[place] = {name: backend.needs.why_not(device) for name, backend in self.backends.items()}
        return self._missing[place]

    def _load(self, name: str) -> None:
        backend = self.backends[name]
        if backend.function is None:
            importlib.import_module(backend.module)
            if backend.function is None:
                raise RuntimeError(f"{backend.module} declares backend {name!r} of {self.name} but did not register it")

    def _add(self, backend: Backend) -> None:
        if backend.name in self.backends:
            raise ValueError(
                f"{self.name}: backend {backend.name!r} is already registered by {self.backends[backend.name].module}"
            )
        self.backends[backend.name] = backend
        self._missing.clear()


def _device(op_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    """The device of the first tensor among the arguments, whatever the order of the keywords."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            return value.device
    raise TypeError(f"{op_name}: none of its arguments is a tensor")


def _no_check(*args: Any, **kwargs: Any) -> None:
    """The default of `op(check=)`: no check."""


def op(
    *,
    cases: Callable[[], Iterable[Case]],
    scale: Callable[..., Scale],
    check: Callable[..., None] = _no_check,
    preference: Preference = Preference(),  # noqa: B008 (frozen)
) -> Callable[[Callable[..., R]], Op[R]]:
    """Make the decorated reference function an op and register it under its own name.

    Args:
        cases: the parity cases that every backend must pass.
        scale: for a case's arguments and its output gradients, the scale S of the intermediate values behind each
            output ("output", "output 1", ...) and each gradient ("grad x"): the parity rule allows 4·eps·S beside a
            multiple of the reference's own error. A sum over rows gives a `SumScale`.
        check: takes the op's arguments and raises on what no backend may be given (shapes, dtypes, devices).
        preference: the backends that a call without a choice takes.
    """

    def make(reference: Callable[..., R]) -> Op[R]:
        made = Op(reference, cases, scale, check, preference)
        if made.name in OPS and OPS[made.name].reference.__module__ != reference.__module__:
            raise ValueError(f"op {made.name!r} is already defined in {OPS[made.name].reference.__module__}")
        OPS[made.name] = made
        return made

    return make


def folders() -> list[str]:
    """The names of the folders that hold an op."""
    return sorted(path.parent.name for path in (Path(__file__).parent / "ops").glob("*/reference.py"))


def load_ops() -> "dict[str, Op[Any]]":
    """Import the definition of every op in kernels/ops, and return them by name."""
    for name in folders():
        importlib.import_module(f"gpt_from_scratch.kernels.ops.{name}.reference")
    if list(OPS) != sorted(OPS):  # one order, whatever was imported first
        in_order = sorted(OPS.items())
        OPS.clear()
        OPS.update(in_order)
    return OPS


def load_backends(device: str | torch.device) -> None:
    """Import every backend of every op that can run on `device`: Dynamo cannot trace an import, so compiling begins here."""
    for made in load_ops().values():
        made.load(device)


def known_backends() -> list[str]:
    """The names of the backends that some op has."""
    return sorted({name for made in load_ops().values() for name in made.backends})
