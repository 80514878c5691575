"""The encoder: from texts to token ids, in Python word by word, or by the kernels in pieces, with the same result."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt

from gpt_from_scratch.tokenizer.bpe.byte_buffer import ByteBuffer, to_bytes
from gpt_from_scratch.tokenizer.bpe.reference import Pair, encode_word
from gpt_from_scratch.tokenizer.numba_kernels.loading import Kernels
from gpt_from_scratch.tokenizer.protocol import well_formed
from gpt_from_scratch.tokenizer.special_tokens import Part
from gpt_from_scratch.tokenizer.splitting.ascii_splitter import block_splitter
from gpt_from_scratch.tokenizer.splitting.automaton import automaton
from gpt_from_scratch.tokenizer.splitting.pattern_parser import UnsupportedPatternError
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text

_CACHED_WORDS = 1 << 16
_LONGEST_CACHED = 128


class Encoder:
    """The encoder of one tokenizer. Thread-safe. `raw`: see `byte_buffer.to_bytes`."""

    def __init__(
        self,
        merges: Sequence[Pair],
        *,
        pattern: str,
        byte_symbols: Sequence[int],
        token_ids: Sequence[int] | None,
        dtype: type[np.uint16 | np.uint32],
    ) -> None:
        """`token_ids[symbol]` is the id that stands for a symbol (None: the symbol's own number)."""
        self._merges = merges
        self._pattern = pattern
        self._byte_symbols = byte_symbols
        self._token_ids = token_ids
        self._dtype = dtype
        self._split = block_splitter(pattern)
        self._cache: dict[str, list[int]] = {}
        self._tables: Any = None
        self._idle: list[_Workspace] = []

    def in_python(self, parts: Iterable[Part], raw: bool) -> list[int]:
        """The ids, the special tokens' included."""
        ids: list[int] = []
        cache = self._cache
        for text, special in parts:
            for word in self._split(text if raw else well_formed(text)):
                known = cache.get(word)
                ids += self._encode_new(word) if known is None else known
            if special is not None:
                ids.append(special)
        return ids

    @cached_property
    def _ranks(self) -> Mapping[Pair, int]:
        return dict(zip(self._merges, range(256, 256 + len(self._merges)), strict=True))

    def _encode_new(self, word: str) -> list[int]:
        symbols = encode_word([self._byte_symbols[byte] for byte in to_bytes(word, raw=True)], self._ranks)
        if self._token_ids is not None:
            symbols = [self._token_ids[symbol] for symbol in symbols]
        if len(word) <= _LONGEST_CACHED:
            if len(self._cache) >= _CACHED_WORDS:
                self._cache = {}
            self._cache[word] = symbols
        return symbols

    def by_kernels(
        self, kernels: Kernels, parts: Sequence[Part], raw: bool
    ) -> tuple[UInt[np.ndarray, " ids"], Int64[np.ndarray, " parts"]]:
        """The ids, and where those of each part end."""
        tables = self._tables = self._tables or self._make_tables(kernels)
        if tables[0] is None:
            return self._by_python_splitter(parts, raw)
        try:
            workspace = self._idle.pop()
        except IndexError:
            workspace = _Workspace(kernels)
        data, edges = workspace.buffer.fill((text for text, _ in parts), raw)
        room = int(edges[-1]) + len(parts)
        if room > len(workspace.ids):
            workspace.ids = np.empty(room + room // 4, dtype=np.uint32)
        specials = np.array([-1 if special is None else special for _, special in parts], dtype=np.int64)
        ends = np.empty(len(parts), dtype=np.int64)
        kernels.encoding.encode(
            data, edges, specials, tables[0], workspace.boundaries, tables[1], workspace.cache, workspace.ids, ends
        )
        ids = workspace.ids[: ends[-1]].astype(self._dtype)
        self._idle.append(workspace)
        return ids, ends

    def _make_tables(self, kernels: Kernels) -> tuple[Any, Any]:
        try:
            found = automaton(pattern_text(self._pattern))
        except UnsupportedPatternError:
            return None, None
        token_ids = np.arange(256 + len(self._merges)) if self._token_ids is None else np.array(self._token_ids)
        merge_tables = kernels.encoding.new_merges(
            np.array(self._byte_symbols, dtype=np.int32),
            np.array(self._merges, dtype=np.int32).ravel(),
            token_ids.astype(np.uint32),
        )
        return found[:5], merge_tables

    def _by_python_splitter(
        self, parts: Sequence[Part], raw: bool
    ) -> tuple[UInt[np.ndarray, " ids"], Int64[np.ndarray, " parts"]]:
        pieces = [self.in_python([part], raw) for part in parts]
        ids = np.array([one for piece in pieces for one in piece], dtype=self._dtype)
        return ids, np.cumsum([len(piece) for piece in pieces], dtype=np.int64)


class _Workspace:
    """The buffers of one thread: the texts' bytes, ends of words, a cache of words, and the ids."""

    def __init__(self, kernels: Kernels) -> None:
        self.buffer = ByteBuffer()
        self.boundaries = np.empty(kernels.splitting.BOUNDARIES, dtype=np.int32)
        self.cache = kernels.encoding.new_cache()
        self.ids = np.empty(0, dtype=np.uint32)
