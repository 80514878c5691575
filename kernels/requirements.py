"""Requirements of a backend on the machine, checked before the backend is imported."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Needs:
    """Requirements of a backend.

    Attributes:
        devices: device types it runs on; None is any.
        requires: packages, each "name" or "name>=version".
        capability: least CUDA compute capability, e.g. (8, 0); not asked of an AMD GPU.
        compiler: it goes through torch.compile, which needs a C++ compiler on the CPU and triton on CUDA.
        interpreter: an environment variable that, set to "1", makes it run on the CPU too, slowly (TRITON_INTERPRET).
    """

    devices: tuple[str, ...] | None = None
    requires: tuple[str, ...] = ()
    capability: tuple[int, int] | None = None
    compiler: bool = False
    interpreter: str | None = None

    def why_not(self, device: str | torch.device) -> str | None:
        """Why this machine cannot run the backend on this device ("cuda": the current GPU), or None if it can."""
        place = torch.device(device)
        device, interpreted = place.type, self.interpreted()
        if self.devices is not None and device not in self.devices and not (interpreted and device == "cpu"):
            hint = f" ({self.interpreter}=1 runs it on the CPU, slowly, for tests)" if self.interpreter else ""
            return f"runs on {', '.join(self.devices)}, not {device}{hint}"
        for requirement in self.requires:
            if (reason := missing_package(requirement)) is not None:
                return reason
        if interpreted and device == "cpu" and (reason := broken_interpreter()) is not None:
            return reason
        if device == "cuda" and self.capability is not None and torch.version.hip is None:
            if not torch.cuda.is_available():
                return "no CUDA device is available"
            have = torch.cuda.get_device_capability(place.index)
            if have < self.capability:
                name = torch.cuda.get_device_name(place.index)
                return f"needs compute capability {_dotted(self.capability)}, {name} has {_dotted(have)}"
        if self.compiler:
            return missing_compiler(device)
        return None

    def interpreted(self) -> bool:
        """Whether this process interprets the kernels instead of compiling them."""
        return self.interpreter is not None and os.environ.get(self.interpreter) == "1"

    def also_of_arguments(self, limits: Callable[..., str | None] | None) -> Callable[..., str | None] | None:
        """The backend's own limits, and under an interpreter a refusal of bfloat16, before them."""
        if not self.interpreted():  # read once: what decorates a kernel does so, too
            return limits

        def also(*args: Any, **kwargs: Any) -> str | None:
            if any(isinstance(x, Tensor) and x.dtype == torch.bfloat16 for x in (*args, *kwargs.values())):
                return (
                    f"torch.bfloat16, whose products are wrong under {self.interpreter}=1 (triton#11584): take float16"
                )
            return limits(*args, **kwargs) if limits is not None else None

        return also


TRITON = "triton>=3.6"
TOOLCHAINS = {
    "triton": Needs(devices=("cuda",), requires=(TRITON,), capability=(8, 0), interpreter="TRITON_INTERPRET"),
}
"""Requirements of the toolchains that backends name."""


def needs_of(toolchain: str | None = None, **own: Any) -> Needs:
    """A toolchain's needs, with those fields replaced that the backend itself states; without a toolchain its own alone.

    Raises:
        ValueError: there is no such toolchain.
    """
    if toolchain is not None and toolchain not in TOOLCHAINS:
        raise ValueError(f"no toolchain {toolchain!r}; known: {', '.join(TOOLCHAINS)}")
    return replace(TOOLCHAINS[toolchain] if toolchain else Needs(), **own)


def missing_package(requirement: str) -> str | None:
    """Why "name" or "name>=version" is not satisfied here, without importing the package."""
    name, _, least = requirement.partition(">=")
    if importlib.util.find_spec(name) is None:
        return f"package {name!r} is not installed"
    if least:
        have = importlib.metadata.version(name)
        if _numbers(have) < _numbers(least):
            return f"needs {requirement}, {have} is installed"
    return None


def broken_interpreter() -> str | None:
    """Why Triton's interpreter cannot work here: that of 3.6 makes numbers of arrays in a way that numpy 2.4 refuses."""
    triton, numpy = (_numbers(importlib.metadata.version(name)) for name in ("triton", "numpy"))
    if triton < (3, 7) and numpy >= (2, 4):
        return "triton 3.6's interpreter cannot use numpy 2.4 or newer: pip install 'triton>=3.7', or 'numpy<2.4'"
    return None


def missing_compiler(device: str) -> str | None:
    """Why torch.compile cannot make code for a device of this type, or None if it can."""
    if device == "cuda":
        return missing_package(TRITON)
    if device == "cpu":
        candidates = (os.environ["CXX"],) if "CXX" in os.environ else ("g++", "clang++", "cl")
        if not any(shutil.which(candidate) for candidate in candidates):
            return f"torch.compile needs a C++ compiler on the CPU, and there is none ({', '.join(candidates)})"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0]))


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"
