"""Encoding of files larger than memory: texts are read in blocks, ids are written as .npy shards."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import UInt
from numpy.lib import format as npy

from gpt_from_scratch.support.storage.files import atomic_open
from gpt_from_scratch.support.storage.text_files import text_blocks

BLOCK = 17 << 16
"""Bytes that are read at a time: a piece (see `cutting`) and a little, so that what is left over from a block is little."""


def read_texts(path: Path) -> Iterator[str]:
    """The text of a file in blocks, its line ends and byte order mark as they are.

    Raises:
        ValueError: it is not text, or not in the encoding that it declares (UTF-8 without a mark).
    """
    return text_blocks(path, BLOCK, keep_mark=True)


def write_shards(
    arrays: Iterable[UInt[np.ndarray, " _"]], folder: Path, stem: str, dtype: type[np.uint16 | np.uint32], size: int
) -> list[Path]:
    """Write the ids to `folder`/`stem`_000000.npy, …, of `size` ids each (the last one fewer), and return the paths.

    A shard is whole or absent. `np.load(path, mmap_mode="r")` opens one without reading it.
    """
    if size < 1:
        raise ValueError(f"a shard needs at least 1 id, not {size}")
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    with ExitStack() as stack:
        file: IO[bytes] | None = None
        held = 0

        def finish() -> None:
            nonlocal file
            if file is not None:
                file.seek(0)
                _write_header(file, dtype, held)
                stack.close()
                file = None

        for array in arrays:
            left = array.astype(dtype, copy=False)
            while len(left):
                if file is None:
                    paths.append(folder / f"{stem}_{len(paths):06}.npy")
                    file, held = stack.enter_context(atomic_open(paths[-1])), 0
                    _write_header(file, dtype, 0)
                file.write(left[: size - held].data)
                left, held = left[size - held :], min(size, held + len(left))
                if held == size:
                    finish()
        finish()
    return paths


def _write_header(file: IO[bytes], dtype: type[Any], count: int) -> None:
    # numpy leaves room for the length to grow, so that the header can be written again over itself.
    description = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (count,)}
    npy.write_array_header_1_0(file, description)
