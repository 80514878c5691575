"""Buffers with the bytes of texts, as input of the kernels."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int64, UInt8

from gpt_from_scratch.tokenizer.protocol import well_formed

PADDING = 8
"""Number of bytes after the texts that kernels may read but that are never part of a word."""


def to_bytes(text: str, raw: bool) -> bytes:
    """Encode as UTF-8. In a `raw` text U+DC80 … U+DCFF represent bytes (Python's surrogateescape); else see
    `well_formed`.
    """
    if raw:
        return text.encode("utf-8", "surrogateescape")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return well_formed(text).encode("utf-8")


class ByteBuffer:
    """A reused array, since new memory would cost more than the copying."""

    def __init__(self) -> None:
        self._array = np.empty(0, dtype=np.uint8)

    def fill(self, texts: Iterable[str], raw: bool) -> tuple[UInt8[np.ndarray, " padded"], Int64[np.ndarray, " edges"]]:
        """Copy the bytes of the texts into one array; returns it and their borders. Valid until the next `fill`."""
        encoded = [to_bytes(text, raw) for text in texts]
        ends = np.cumsum([0, *map(len, encoded)])
        size = int(ends[-1])
        if size + PADDING > len(self._array):
            self._array = np.zeros(size + size // 4 + PADDING, dtype=np.uint8)
        self._array[:size] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        return self._array, np.repeat(ends, 2)[1:-1]
