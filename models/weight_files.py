"""Reading and writing of safetensors files, with checks of their headers."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpt_from_scratch.support.command_line.described import shown
from gpt_from_scratch.support.storage.files import retried, write_text, write_whole

CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE = "config.json", "model.safetensors", "model.safetensors.index.json"
FLOATS = ("F64", "F32", "F16", "BF16")
"""Supported dtypes of weights, by safetensors' names. Quantized weights are not supported."""


@dataclass(frozen=True)
class Entry:
    """A tensor's entry in a file's header."""

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file atomically."""
    contiguous = {name: t.contiguous() for name, t in tensors.items()}

    def write(temporary: Path) -> None:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(contiguous, temporary, metadata={"format": "pt"})
        temporary.chmod(mode)  # safetensors 0.8 ignores the umask and makes it readable only by the owner

    write_whole(path, write)


def cut(tensors: Mapping[str, Tensor], folder: Path, most_bytes: int) -> None:
    """Write a model's tensors into files of at most `most_bytes` bytes; a larger tensor gets its own file.

    A single file has the usual name; several are named with their numbers, and the index says what is where.
    """
    files: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if files[-1] and size + tensor.nbytes > most_bytes:
            files.append({})
            size = 0
        files[-1][name] = tensor
        size += tensor.nbytes
    if len(files) == 1:
        save_tensors(folder / WEIGHTS_FILE, files[0])
        return
    places: dict[str, str] = {}
    for number, part in enumerate(files, start=1):
        file = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        save_tensors(folder / file, part)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())}, "weight_map": places}
    write_text(folder / INDEX_FILE, json.dumps(index, indent=2) + "\n")


def has_weights(folder: Path) -> bool:
    """Whether `folder` has a model's weights."""
    return (folder / WEIGHTS_FILE).is_file() or (folder / INDEX_FILE).is_file()


def entries(folder: Path) -> dict[str, Entry]:
    """Entries of a folder's safetensors files; only the headers are read.

    Raises:
        FileNotFoundError: there is none, or one that the index names is missing.
        ValueError: a damaged file, or an index that is none, by name.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return _header(folder / WEIGHTS_FILE)
    index = folder / INDEX_FILE
    if not index.is_file():
        pickled = next((p.name for p in sorted(folder.glob("*.bin"))), None)
        hint = (
            f" ({pickled} is a pickle, which is never loaded: save the model with safe_serialization=True)"
            if pickled
            else ""
        )
        raise FileNotFoundError(f"{folder} has no {WEIGHTS_FILE}{hint}")
    weight_map = _weight_map(index)
    for name, file in weight_map.items():
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder / file} is missing, which {INDEX_FILE} names for {shown(name)}")
    headers = {file: _header(folder / file) for file in sorted(set(weight_map.values()))}
    if missing := [name for name, file in weight_map.items() if name not in headers[file]]:
        raise ValueError(f"{index}: weight_map names {shown(missing[0])}, which {weight_map[missing[0]]} does not hold")
    return {name: headers[file][name] for name, file in weight_map.items()}


def indexed_files(index: Path) -> list[str]:
    """The safetensors files that an index names, each once.

    Raises:
        ValueError: it is no index, or names what is no plain file.
    """
    return sorted(set(_weight_map(index).values()))


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{index}: weight_map is {shown(weight_map)}, expected an object: a file for each tensor")
    for file in weight_map.values():
        if not isinstance(file, str) or not re.fullmatch(r"(?!\.)[\w.-]+\.safetensors", file, re.ASCII):
            raise ValueError(f"{index}: weight_map names a file that is no plain safetensors name: {shown(file)}")
    return weight_map


def read_entries(found: Mapping[str, Entry]) -> dict[str, Tensor]:
    """The tensors of these entries, under their keys here, copied into memory; every number of them is finite.

    Raises:
        ValueError: one is not of a floating-point type, or holds NaN or infinity, by name and file.
    """
    for name, entry in found.items():
        if entry.dtype not in FLOATS:
            raise ValueError(
                f"{entry.file}: {name} has dtype {entry.dtype}, expected {', '.join(FLOATS)}: quantized weights are not "
                "supported, give the unquantized model"
            )
    tensors: dict[str, Tensor] = {}
    for path in sorted({entry.file for entry in found.values()}):
        here = {name: entry.name for name, entry in found.items() if entry.file == path}
        read = read_file(path, set(here.values()).__contains__)
        tensors |= {name: read[stored] for name, stored in here.items()}
    if wrong := not_finite(tensors):
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(f"{found[wrong[0]].file}: NaN or infinity in {', '.join(wrong[:5])}{more}: invalid weights")
    return tensors


def require_utf8(path: Path) -> None:
    """Refuse a path that safetensors can neither open nor write.

    Raises:
        ValueError: a name in it holds bytes that are not UTF-8.
    """
    try:
        os.fsencode(path.absolute()).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: the name holds bytes that are not UTF-8: rename that folder or file") from None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A safetensors file, open for reading.

    Raises:
        OSError: the system does not give it; safetensors would say of one that may not be read that there is none.
        ValueError: its name is not UTF-8, which safetensors cannot open.
        SafetensorError: it is none.
    """
    require_utf8(path)
    with path.open("rb"):
        pass
    with safe_open(path, framework="pt") as file:
        yield file


def read_file(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, Tensor]:
    """Tensors of one safetensors file (all of them, or those whose names are wanted), copied into memory.

    Raises:
        ValueError: the file is damaged.
    """

    def attempt() -> dict[str, Tensor]:
        with opened(path) as file:
            return {name: file.get_tensor(name) for name in file.keys() if wanted(name)}  # noqa: SIM118 (no dict)

    try:
        return retried(attempt)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    return [name for name, tensor in tensors.items() if not _is_finite(tensor)]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file; errors name the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected a folder with {CONFIG_FILE} and {WEIGHTS_FILE}")
    try:
        value = json.loads(retried(lambda: path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {type(value).__name__}, expected an object")
    return value


def _header(path: Path) -> dict[str, Entry]:

    def attempt() -> dict[str, Entry]:
        with opened(path) as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return {name: Entry(path, name, part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}

    try:
        return retried(attempt)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    # The extremes carry a NaN along, and need no mask as large as the tensor: seven times faster than isfinite (measured).
    low, high = torch.aminmax(tensor)
    return bool(torch.isfinite(low) & torch.isfinite(high))
