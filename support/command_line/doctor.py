"""`gpt doctor`: check this machine for training, and advise what to install.

    gpt doctor

It changes and installs nothing.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gpt_from_scratch.support.command_line.arguments import ArgumentParser
from gpt_from_scratch.support.command_line.invocation import extras, gpt, how_to_install

SPARE_DISK = 2 << 30
"""Minimum free bytes for the checkpoints of a run of GPT-2's size."""
INTERNAL = ("test", "bench", "harness")
"""Extras that the project's own tests and benchmarks need."""


class Finding(NamedTuple):
    """One line of output: the subject, the state, and advice if something is missing."""

    name: str
    found: str
    advice: str = ""


def findings() -> Iterator[Finding]:
    """All findings, in order of output."""
    yield Finding("python", f"{platform.python_version()} at {sys.executable}")
    yield Finding("system", f"{platform.system()} {platform.machine()}, {_cores()} cores, {_memory()}")
    yield from _torch()
    yield from _compiler()
    yield from _disk()
    yield from _extras()


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError:
        yield Finding("torch", "not installed", "make setup, in a clone")
        return
    yield Finding("torch", torch.__version__)
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        lack = "" if torch.version.cuda or torch.version.hip else "this PyTorch is a build without CUDA"
        advice = f"{lack}: with an NVIDIA GPU here, run GPT_TORCH=cuda make setup" if lack and _nvidia() else ""
        yield Finding("device", "cpu: no accelerator was found", advice)
        native = "native bf16 products" if _bf16_on_cpu() else "fp32 is the fastest: no native bf16"
        yield Finding("dtypes", native)
        return
    yield Finding(
        "device", f"{found.type}: {torch.cuda.get_device_name() if found.type == 'cuda' else platform.processor()}"
    )
    if found.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        yield Finding("dtypes", "bf16 and fp32" if native else "fp32: this GPU has no bf16")
    if _version("triton") is None:
        yield Finding(
            "triton", "not installed", "pip install triton (Linux only); without it torch's own kernels are used"
        )
    else:
        yield Finding("triton", str(_version("triton")))


def _compiler() -> Iterator[Finding]:
    name = next((name for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and shutil.which(name)), None)
    lack = "apt-get install gcc, or similar; only the backend `compiled` needs it"
    yield Finding("compiler", name or "none", "" if name else lack)


def _disk() -> Iterator[Finding]:
    for name, folder in (("runs", Path("runs")), ("data", Path(os.environ.get("GPT_DATA_DIR") or "data"))):
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(place).free
        advice = ""
        if not os.access(place, os.W_OK):
            advice = "this folder is not writable: give --run.folder, or set GPT_DATA_DIR"
        elif free < SPARE_DISK:
            advice = "too little for large models: free some space, or use another disk"
        yield Finding(f"{name}/", f"{free / 1e9:.1f} GB free in {place}", advice)


def _extras() -> Iterator[Finding]:
    for extra, requirements in sorted(extras().items()):
        if extra in INTERNAL:
            continue
        names = [re.split(r"[\s\[<>=!~(]", requirement)[0] for requirement in requirements]
        missing = [name for name in names if _version(name) is None]
        found = f"not installed: {', '.join(missing)}" if missing else "installed"
        yield Finding(f"[{extra}]", found, how_to_install(extra) if missing else "")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    except (ValueError, OSError, AttributeError):  # not available on this system
        return "memory unknown"


def _bf16_on_cpu() -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and bool(re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", info.read_text(encoding="utf-8")))


def _nvidia() -> bool:
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def main(words: list[str] | None = None) -> int:
    """Print every finding; returns 0."""
    ArgumentParser(prog="gpt doctor", description=__doc__).parse_args(words)
    lines = list(findings())
    width = max(len(line.name) for line in lines)
    for line in lines:
        print(f"{line.name:<{width}}  {line.found}")
        if line.advice:
            print(f"{'':<{width}}  -> {line.advice}")
    print(f"\nnext: {gpt('train')}")
    return 0
