"""Conditions of a measurement: the machine, package versions, and the speed of matrix products."""

import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.support.storage.json_text import json_text

RESULTS = Path(__file__).parents[1] / "results"


def environment(*packages: str) -> dict[str, Any]:
    """Cores, processor, threads, and the versions of torch and of those of `packages` that are installed."""
    installed = {found.metadata["Name"] for found in importlib.metadata.distributions()}
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "versions": {name: importlib.metadata.version(name) for name in packages if name in installed},
    }


def processor() -> str:
    """The processor's own name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def continued(path: Path | None, about: dict[str, Any]) -> dict[str, Any]:
    """Load the results of an earlier run under the same conditions from `path`; returns them and the conditions.

    A package that is missing in one of the runs does not count as a changed condition.

    Raises:
        ValueError: the conditions were others, so the figures cannot stand side by side; measured ones are never thrown away.
    """
    if path is None or not path.exists():
        return about
    earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    versions = about.get("versions", {})
    before = earlier.get("versions", {})
    now = about | ({"versions": before | versions} if "versions" in about else {})
    changed = {key: (earlier.get(key), value) for key, value in now.items() if earlier.get(key) != value}
    if "versions" in changed and all(before.get(name, version) == version for name, version in versions.items()):
        del changed["versions"]
    if changed:
        said = "; ".join(f"{key} was {old}, is {new}" for key, (old, new) in changed.items())
        raise ValueError(f"{path} was measured under other conditions: {said}. Give another --out, or delete it.")
    return earlier | now


def write(path: Path | None, report: dict[str, Any]) -> None:
    """A results file; nothing without a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json_text(report, indent=1, ensure_ascii=False) + "\n")


def product_rate(rows: int, inner: int, columns: int, seconds: float) -> float:
    """FLOP/s of the fp32 product (rows × inner) · (inner × columns), as a linear layer makes it, repeated for so long."""
    x, weight, out = torch.randn(rows, inner), torch.randn(columns, inner), torch.empty(rows, columns)
    torch.mm(x, weight.T, out=out)
    start, count = time.perf_counter(), 0
    while True:
        torch.mm(x, weight.T, out=out)
        count += 1
        if (taken := time.perf_counter() - start) >= seconds:
            return 2.0 * rows * inner * columns * count / taken


def read_rate(n_bytes: int, seconds: float) -> float:
    """Bytes/s at which so large a matrix is read by a product with one vector, repeated for so long."""
    matrix, x = torch.zeros(n_bytes // 4 // 768, 768), torch.zeros(768)
    torch.mv(matrix, x)
    start, count = time.perf_counter(), 0
    while True:
        torch.mv(matrix, x)
        count += 1
        if (taken := time.perf_counter() - start) >= seconds:
            return matrix.nbytes * count / taken


def available_bytes() -> int | None:
    """Memory that can be had without swapping; None where Linux is not there to tell."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
    return next(int(value.split()[0]) * 1024 for name, _, value in lines if name == "MemAvailable")
