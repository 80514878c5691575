"""`BytePairEncodingTokenizer`: trained from text, exact, and able to encode any text or bytes."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt

from gpt_from_scratch.tokenizer.files import fingerprint, read_content, write_tokenizer
from gpt_from_scratch.tokenizer.patterns import PATTERNS, pattern_text, splitter
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer, id_dtype, well_formed
from gpt_from_scratch.tokenizer.reference import TIE_BREAKS, Pair, TieBreak, encode_word, learn_merges

KIND = "byte_pair_encoding"
UNICODE_VERSION = "16.0"


class BytePairEncodingTokenizer(Tokenizer):
    """Ids: the 256 bytes, then one a merge, then the special tokens."""

    def __init__(
        self,
        merges: Sequence[Pair],
        *,
        pattern: str = "gpt2",
        special_tokens: Mapping[str, int] | Iterable[str] = (END_OF_TEXT,),
        byte_order: str = "raw",
        tie_break: TieBreak = "lowest-ids",
    ) -> None:
        self.merges = [(int(left), int(right)) for left, right in merges]
        self.pattern = pattern
        self.byte_order = byte_order
        self.tie_break = tie_break
        if not isinstance(special_tokens, Mapping):
            names = list(special_tokens)
            if len(set(names)) != len(names):
                raise ValueError(f"special tokens must differ from one another: {names}")
            special_tokens = {name: 256 + len(self.merges) + index for index, name in enumerate(names)}
        self.special_tokens: dict[str, int] = dict(special_tokens)
        if "" in self.special_tokens:
            raise ValueError("a special token cannot be the empty text")
        self._byte_symbols = byte_symbols(byte_order)
        self._token_bytes = [b""] * 256
        for byte, symbol in enumerate(self._byte_symbols):
            self._token_bytes[symbol] = bytes([byte])
        for rank, (left, right) in enumerate(self.merges):
            if not (0 <= left < 256 + rank and 0 <= right < 256 + rank):
                raise ValueError(f"merge {rank} joins ({left}, {right}), but only ids below {256 + rank} exist by then")
            self._token_bytes.append(self._token_bytes[left] + self._token_bytes[right])
        self._ranks = {pair: 256 + rank for rank, pair in enumerate(self.merges)}
        self._special_names = {index: name for name, index in self.special_tokens.items()}
        self._split = splitter(pattern)
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def from_text(
        cls,
        text: str,
        vocab_size: int,
        *,
        pattern: str = "gpt2",
        special_tokens: Iterable[str] = (END_OF_TEXT,),
        tie_break: TieBreak = "lowest-ids",
        byte_order: str = "raw",
    ) -> "BytePairEncodingTokenizer":
        """Learn `vocab_size` ids (256 bytes, the merges, the special tokens) from `text`.

        Special tokens that occur in `text` separate it and are not learnt from. Raises ValueError on an empty text or
        a vocabulary too small; warns if the text has fewer pairs to merge than asked for.
        """
        special_tokens = list(special_tokens)
        num_merges = vocab_size - 256 - len(special_tokens)
        if num_merges < 0:
            raise ValueError(
                f"vocab_size {vocab_size} is too small: 256 bytes and {len(special_tokens)} special tokens need at "
                f"least {256 + len(special_tokens)}"
            )
        if tie_break not in TIE_BREAKS:
            raise ValueError(f"unknown tie_break {tie_break!r}: known are {', '.join(TIE_BREAKS)}")
        if not text:
            raise ValueError("the text is empty: there is nothing to learn merges from")
        text = well_formed(text)
        parts = [text]
        for special in special_tokens:
            parts = [piece for part in parts for piece in part.split(special)]
        split = splitter(pattern)
        counts: Counter[str] = Counter()
        for part in parts:
            counts.update(split(part))
        words = {word.encode("utf-8"): times for word, times in counts.items()}
        merges = learn_merges(words, num_merges, byte_symbols(byte_order), tie_break)
        if len(merges) < num_merges:
            warnings.warn(
                f"the text has only {len(merges)} pairs to merge, {num_merges} were asked for: the vocabulary has "
                f"{256 + len(merges) + len(special_tokens)} ids, not {vocab_size}. Give more text for more.",
                stacklevel=2,
            )
        return cls(merges, pattern=pattern, special_tokens=special_tokens, byte_order=byte_order, tie_break=tie_break)

    @classmethod
    def from_files(cls, paths: Iterable[Path | str], vocab_size: int, **options: Any) -> "BytePairEncodingTokenizer":
        """As `from_text`, from UTF-8 files."""
        return cls.from_text(END_OF_TEXT.join(Path(path).read_text("utf-8") for path in paths), vocab_size, **options)

    @property
    def n_vocab(self) -> int:
        return max(255 + len(self.merges), *self.special_tokens.values(), 255) + 1

    @property
    def eot_token(self) -> int:
        if END_OF_TEXT not in self.special_tokens:
            raise NoEndOfTextError(
                f"this tokenizer has no {END_OF_TEXT} token (its special tokens: {list(self.special_tokens)}): make it "
                f"with special_tokens=({END_OF_TEXT!r},)"
            )
        return self.special_tokens[END_OF_TEXT]

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(KIND, self._content())

    def encode_ordinary(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in self._split(well_formed(text)):
            known = self._cache.get(word)
            if known is None:
                known = encode_word([self._byte_symbols[byte] for byte in word.encode("utf-8")], self._ranks)
                if len(self._cache) >= 1 << 16:
                    self._cache.clear()
                self._cache[word] = known
            ids += known
        return ids

    def encode_to_numpy(self, text: str) -> UInt[np.ndarray, " n"]:
        return np.array(self.encode_ordinary(text), dtype=id_dtype(self.n_vocab))

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one id. Raises ValueError if it is unknown."""
        if 0 <= token < len(self._token_bytes):
            return self._token_bytes[token]
        if token in self._special_names:
            return self._special_names[token].encode("utf-8")
        raise ValueError(f"unknown token id {token}: this tokenizer has {self.n_vocab} ids")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join(map(self.decode_single_token_bytes, ids))

    def decode(self, ids: Sequence[int]) -> str:
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path: Path) -> None:
        write_tokenizer(Path(path), KIND, self._content())

    @classmethod
    def load(cls, path: Path) -> "BytePairEncodingTokenizer":
        return cls.from_content(read_content(Path(path), KIND), Path(path))

    def _content(self) -> dict[str, Any]:
        return {
            "pattern": {"name": self.pattern if self.pattern in PATTERNS else None, "text": pattern_text(self.pattern)},
            "unicode": UNICODE_VERSION,
            "tie_break": self.tie_break,
            "byte_order": self.byte_order,
            "merges": [list(pair) for pair in self.merges],
            "special_tokens": self.special_tokens,
        }

    @classmethod
    def from_content(cls, content: dict[str, Any], path: Path) -> "BytePairEncodingTokenizer":
        """From a tokenizer file's content; `path` is for the error message."""
        try:
            pattern = content["pattern"]["name"] or content["pattern"]["text"]
            return cls(
                [(int(left), int(right)) for left, right in content["merges"]],
                pattern=pattern,
                special_tokens={str(name): int(index) for name, index in content["special_tokens"].items()},
                byte_order=content["byte_order"],
                tie_break=content["tie_break"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a whole {KIND} tokenizer: {error!r}") from error

    def __repr__(self) -> str:
        return f"BytePairEncodingTokenizer(n_vocab={self.n_vocab}, pattern={self.pattern!r})"


def byte_symbols(byte_order: str) -> list[int]:
    """The id of each byte: its value ("raw"), or its place in GPT-2's table ("gpt2": printable bytes come first)."""
    if byte_order == "raw":
        return list(range(256))
    if byte_order != "gpt2":
        raise ValueError(f"unknown byte_order {byte_order!r}: known are raw, gpt2")
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    order = printable + [byte for byte in range(256) if byte not in set(printable)]
    return [order.index(byte) for byte in range(256)]
