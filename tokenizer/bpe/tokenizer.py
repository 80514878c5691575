"""`BytePairEncodingTokenizer`: learned from text, lossless for any text or bytes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt

from gpt_from_scratch.tokenizer.bpe.byte_order import byte_symbols
from gpt_from_scratch.tokenizer.bpe.content import options_of
from gpt_from_scratch.tokenizer.bpe.encoder import Encoder
from gpt_from_scratch.tokenizer.bpe.large_files import read_texts, write_shards
from gpt_from_scratch.tokenizer.bpe.learning import Recipe
from gpt_from_scratch.tokenizer.bpe.merges import Merges, whole_numbers
from gpt_from_scratch.tokenizer.bpe.ordered_map import grouped, ordered_map, threads
from gpt_from_scratch.tokenizer.bpe.reference import TIE_BREAKS, Pair, TieBreak
from gpt_from_scratch.tokenizer.bpe.training import TrainingMethods
from gpt_from_scratch.tokenizer.encoding_methods import EncodingMethods
from gpt_from_scratch.tokenizer.fields import named
from gpt_from_scratch.tokenizer.file_format import fingerprint, read_content, write_tokenizer
from gpt_from_scratch.tokenizer.numba_kernels.loading import BACKENDS, Backend, kernels_for
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer, UnknownTokenError, id_dtype
from gpt_from_scratch.tokenizer.special_tokens import SpecialChoice, SpecialTokens
from gpt_from_scratch.tokenizer.splitting.chunks import PIECE, Cutter
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, is_pinned, pattern_text
from gpt_from_scratch.tokenizer.splitting.unicode_table import UNICODE_VERSION

if TYPE_CHECKING:
    import tiktoken

KIND = "byte_pair_encoding"
SHARD_TOKENS = 100_000_000


class BytePairEncodingTokenizer(TrainingMethods, EncodingMethods, Tokenizer):
    """Ids: the 256 bytes, then one a merge, then the special tokens (a tokenizer read from elsewhere may number otherwise).

    It can replace a `tiktoken.Encoding` (`EncodingMethods`), except that `encode_to_numpy` treats special tokens as
    ordinary text by default.

    Encoding and training use compiled kernels for large inputs and Python for small ones, with the same results; `backend`
    forces one of them. Thread-safe.
    """

    def __init__(
        self,
        merges: Sequence[Pair],
        *,
        pattern: str = "gpt2",
        special_tokens: Mapping[str, int] | Iterable[str] = (END_OF_TEXT,),
        added_tokens: Mapping[str, int] | None = None,
        byte_order: str = "raw",
        tie_break: TieBreak = "lowest-ids",
        token_ids: Sequence[int] | None = None,
        backend: Backend = "auto",
        name: str = "gpt_from_scratch",
    ) -> None:
        """`merges[k]` joins two symbols (0 … 255 are the bytes, in `byte_order`) to symbol 256 + k.

        `token_ids[symbol]` is a symbol's id (None: its own number). Special tokens without ids get the next free ones.
        `added_tokens` cut every text, before the pattern splits it; an id may be that of a token with the same bytes.
        `name` is not saved. Raises ValueError on a merge of what does not exist yet, a merge made twice, an id given
        twice, or anything of the wrong kind.
        """
        if tie_break not in TIE_BREAKS:
            raise ValueError(f"unknown tie_break {tie_break!r}: known are {', '.join(TIE_BREAKS)}")
        if backend not in BACKENDS:
            raise ValueError(f"unknown backend {backend!r}: known are {', '.join(BACKENDS)}")
        pattern_text(pattern)
        self.merges = Merges.of(merges)
        self.name = name
        self.pattern = pattern
        self.byte_order = byte_order
        self.tie_break = tie_break
        self.backend = backend
        self._byte_symbols = byte_symbols(byte_order)
        self.symbols = symbols = self._spell()
        self.token_ids = None if token_ids is None else whole_numbers("token_ids", token_ids)
        if self.token_ids is not None and len(self.token_ids) != len(symbols):
            raise ValueError(f"token_ids has {len(self.token_ids)} ids for {len(symbols)} bytes and merges")
        self._bytes_of = dict(zip(self.token_ids or range(len(symbols)), symbols, strict=True))
        if len(self._bytes_of) != len(symbols) or min(self._bytes_of) < 0 or max(self._bytes_of) >= 1 << 31:
            raise ValueError("token_ids must differ from one another, and be from 0 to 2^31 - 1")
        self.merges.token_ids = self.token_ids
        if not isinstance(special_tokens, Mapping):
            first = max([*self._bytes_of, *(added_tokens or {}).values()]) + 1
            self._specials = SpecialTokens.numbered(special_tokens, first, added_tokens)
        else:
            self._specials = SpecialTokens(special_tokens, added_tokens)
        for token, index in (self.special_tokens | self.added_tokens).items():
            if self._bytes_of.setdefault(index, token.encode("utf-8")) != token.encode("utf-8"):
                raise ValueError(
                    f"the special token {token!r} has the id {index} of the token {self._bytes_of[index]!r}"
                )
            if index >= 1 << 31:
                raise ValueError(f"the special token {token!r} has the id {index}, expected less than 2^31")
        self._unicode = UNICODE_VERSION if is_pinned(pattern) else None
        self._encoder = Encoder(
            self.merges,
            pattern=pattern,
            byte_symbols=self._byte_symbols,
            token_ids=self.token_ids,
            dtype=id_dtype(self.n_vocab),
        )

    def _recipe(self, raw: bool) -> Recipe:
        return Recipe(self.pattern, self._specials, self._byte_symbols, self.tie_break, raw)

    def _spell(self) -> list[bytes]:
        """The bytes of every symbol."""
        symbols = [bytes([self._byte_symbols.index(symbol)]) for symbol in range(256)]
        for left, right in self.merges:
            size = len(symbols)
            if left < 0 or right < 0 or left >= size or right >= size:
                raise ValueError(f"merge {size - 256} joins ({left}, {right}), but only ids below {size} exist by then")
            symbols.append(symbols[left] + symbols[right])
        return symbols

    @property
    def special_tokens(self) -> dict[str, int]:
        """Each special token's id."""
        return self._specials.ids

    @property
    def added_tokens(self) -> dict[str, int]:
        """The id of each text that always cuts a text."""
        return self._specials.added

    @property
    def vocab(self) -> dict[int, bytes]:
        """The bytes of each id, the special tokens included."""
        return dict(self._bytes_of)

    @cached_property
    def n_vocab(self) -> int:
        return max(self._bytes_of) + 1

    @property
    def eot_token(self) -> int:
        known = self.special_tokens | self.added_tokens
        if END_OF_TEXT not in known:
            raise NoEndOfTextError(
                f"this tokenizer has no {END_OF_TEXT} token (its special tokens: {list(self.special_tokens)}): make it "
                f"with special_tokens=({END_OF_TEXT!r},)"
            )
        return known[END_OF_TEXT]

    # Encoding

    def encode_ordinary(self, text: str) -> list[int]:
        return self._encode(text, self._specials.always, frozenset())

    def encode(
        self, text: str, *, allowed_special: SpecialChoice = frozenset(), disallowed_special: SpecialChoice = "all"
    ) -> list[int]:
        """As `encode_ordinary`, where the `allowed_special` tokens (a set of names, or "all") become their ids.

        A text of `disallowed_special` in the text raises ValueError; by default these are all special tokens that are not
        allowed. What is in neither is ordinary text. An allowed name that is not known changes nothing. (As in tiktoken.)
        """
        return self._encode(text, *self._specials.chosen(allowed_special, disallowed_special))

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: SpecialChoice | None = None,
        disallowed_special: SpecialChoice | None = None,
    ) -> UInt[np.ndarray, " n"]:
        """As `encode_ordinary`, or with one of the choices as `encode`; uint16 where every id fits, else uint32."""
        if allowed_special is None and disallowed_special is None:
            return self._to_numpy(text, self._specials.always, frozenset())
        disallowed_special = "all" if disallowed_special is None else disallowed_special
        return self._to_numpy(text, *self._specials.chosen(allowed_special or (), disallowed_special))

    def encode_bytes(self, data: bytes) -> list[int]:
        """As `encode_ordinary`, of bytes that need not be UTF-8; `decode_bytes` gives them back."""
        return self._encode(data.decode("utf-8", "surrogateescape"), self._specials.always, frozenset(), raw=True)

    def encode_batch(
        self,
        texts: Sequence[str],
        *,
        num_threads: int | None = None,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
    ) -> list[list[int]]:
        """`encode` of each text, several at once."""
        chosen = self._specials.chosen(allowed_special, disallowed_special)
        kernels = kernels_for(self.backend, sum(map(len, texts)))
        if kernels is None:
            return [self._encoder.in_python(self._specials.parts(text, *chosen), raw=False) for text in texts]

        def encode_group(group: list[str]) -> list[list[int]]:
            # One call of the kernel for all: a call for each short text would cost more than its encoding.
            parts = [self._specials.parts(text, *chosen) for text in group]
            ids, ends = self._encoder.by_kernels(kernels, [part for one in parts for part in one], raw=False)
            last = ends[np.cumsum([len(one) for one in parts]) - 1].tolist()
            return [ids[start:end].tolist() for start, end in zip([0, *last[:-1]], last, strict=True)]

        groups = ordered_map(encode_group, grouped(texts, PIECE), threads(num_threads))
        return [ids for group in groups for ids in group]

    def encode_iterable(
        self,
        texts: Iterable[str],
        *,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
    ) -> Iterator[int]:
        """The ids of all the texts joined together: exactly those of `encode`, in little memory.

        Each id comes as soon as no text that follows can change it (`Cutter.stream`), as long as the pattern has an automaton.
        """
        allowed, forbidden = self._specials.chosen(allowed_special, disallowed_special)
        for piece in Cutter(self.pattern, allowed | forbidden).stream(texts):
            yield from self._encode(piece, allowed, forbidden)

    def encode_file(
        self,
        path: Path | str,
        folder: Path | str,
        *,
        shard_tokens: int = SHARD_TOKENS,
        num_threads: int | None = None,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
    ) -> list[Path]:
        """Encode a UTF-8 file of any size into .npy shards (uint16 where every id fits, else uint32) in `folder`.

        Returns their paths, ``<name>_000000.npy`` …: joined they hold exactly the ids of `encode`. Raises ValueError where
        the file is not UTF-8, and on special tokens as `encode` does.
        """
        path = Path(path)
        allowed, forbidden = self._specials.chosen(allowed_special, disallowed_special)
        arrays = self._arrays(read_texts(path), allowed, forbidden, num_threads=threads(num_threads))
        return write_shards(arrays, Path(folder), path.stem, id_dtype(self.n_vocab), shard_tokens)

    def _encode(self, text: str, allowed: frozenset[str], forbidden: frozenset[str], raw: bool = False) -> list[int]:
        if kernels_for(self.backend, len(text)) is None:
            return self._encoder.in_python(self._specials.parts(text, allowed, forbidden), raw)
        ids: list[int] = self._to_numpy(text, allowed, forbidden, raw).tolist()
        return ids

    def _to_numpy(
        self, text: str, allowed: frozenset[str], forbidden: frozenset[str], raw: bool = False
    ) -> UInt[np.ndarray, " n"]:
        arrays = self._arrays([text], allowed, forbidden, raw=raw)
        return np.concatenate([np.empty(0, dtype=id_dtype(self.n_vocab)), *arrays])

    def _arrays(
        self,
        texts: Iterable[str],
        allowed: frozenset[str],
        forbidden: frozenset[str],
        *,
        num_threads: int = 1,
        raw: bool = False,
    ) -> Iterator[UInt[np.ndarray, " _"]]:
        """The ids of the joined texts, piece by piece."""

        def encode_piece(piece: str) -> UInt[np.ndarray, " _"]:
            parts = self._specials.parts(piece, allowed, forbidden)
            kernels = kernels_for(self.backend, len(piece))
            if kernels is None:
                return np.array(self._encoder.in_python(parts, raw), dtype=id_dtype(self.n_vocab))
            return self._encoder.by_kernels(kernels, parts, raw)[0]

        return ordered_map(encode_piece, Cutter(self.pattern, allowed | forbidden).pieces(texts), num_threads)

    # Decoding

    def decode_tokens_bytes(self, ids: Sequence[int]) -> list[bytes]:
        """The bytes of each id. Raises UnknownTokenError (a KeyError and a ValueError) on an unknown one."""
        try:
            return [self._bytes_of[index] for index in ids]
        except KeyError as error:
            raise UnknownTokenError(
                f"unknown token id {error.args[0]}: this tokenizer has {len(self._bytes_of)} ids, the largest "
                f"{self.max_token_value}"
            ) from None

    def to_tiktoken(self, name: str | None = None) -> "tiktoken.Encoding":
        """A `tiktoken.Encoding` that gives every text the same ids; for files and other formats see `formats`.

        Raises ValueError where tiktoken cannot do so.
        """
        if self.added_tokens:
            raise ValueError(
                f"tiktoken has no added tokens, such as {next(iter(self.added_tokens))!r} of this tokenizer"
            )
        from gpt_from_scratch.tokenizer.tiktoken_package import encoding_of

        return encoding_of(name or self.name, self.pattern, self.ranks(), self.special_tokens)

    def ranks(self) -> dict[bytes, int]:
        """The id of each byte and merge, as tiktoken's files list them; ValueError if tiktoken could not merge by them."""
        from gpt_from_scratch.tokenizer.tiktoken_package import ranks_of

        return ranks_of(self.token_ids or range(len(self.symbols)), self.symbols)

    # The file

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(KIND, self._content())

    def save(self, path: Path) -> None:
        write_tokenizer(Path(path), KIND, self._content())

    @classmethod
    def load(cls, path: Path) -> "BytePairEncodingTokenizer":
        return cls.from_content(read_content(Path(path), KIND), Path(path))

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "pattern": {"name": self.pattern if self.pattern in PATTERNS else None, "text": pattern_text(self.pattern)},
            "unicode": self._unicode,
            "tie_break": self.tie_break,
            "byte_order": self.byte_order,
            "merges": [list(pair) for pair in self.merges],
            "special_tokens": self.special_tokens,
        }
        if self.added_tokens:
            content["added_tokens"] = self.added_tokens
        return content if self.token_ids is None else content | {"token_ids": self.token_ids}

    @classmethod
    def from_content(cls, content: dict[str, Any], path: Path) -> "BytePairEncodingTokenizer":
        """From a tokenizer file's content; `path` is for the error message. Raises ValueError that names the field."""
        unicode, options = options_of(content, path)
        with named(path):
            tokenizer = cls(**options)
        # Files of earlier releases leave patterns to `regex` that are pinned now; their fingerprint is the same.
        tokenizer._unicode = unicode
        return tokenizer

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._content(), self.backend)

    def __repr__(self) -> str:
        return f"BytePairEncodingTokenizer(n_vocab={self.n_vocab}, pattern={self.pattern!r})"


def _restore(content: dict[str, Any], backend: Backend) -> BytePairEncodingTokenizer:
    tokenizer = BytePairEncodingTokenizer.from_content(content, Path("a pickled tokenizer"))
    tokenizer.backend = backend
    return tokenizer
