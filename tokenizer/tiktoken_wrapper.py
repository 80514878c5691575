"""tiktoken's encodings behind the project's interface. tiktoken is optional: the extra `tiktoken`."""

import base64
import binascii
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt

from gpt_from_scratch.support.storage.downloads import reason
from gpt_from_scratch.tokenizer.encoding_methods import EncodingMethods
from gpt_from_scratch.tokenizer.fields import JsonNode, named
from gpt_from_scratch.tokenizer.file_format import fingerprint, read_content, write_tokenizer
from gpt_from_scratch.tokenizer.protocol import (
    END_OF_TEXT,
    NoEndOfTextError,
    Tokenizer,
    UnknownTokenError,
    id_dtype,
    well_formed,
)
from gpt_from_scratch.tokenizer.special_tokens import SpecialChoice
from gpt_from_scratch.tokenizer.splitting.coverage import covers_every_text
from gpt_from_scratch.tokenizer.splitting.pattern_parser import UnsupportedPatternError, parse_pattern
from gpt_from_scratch.tokenizer.tiktoken_package import import_tiktoken, without_panics

if TYPE_CHECKING:
    import tiktoken

KIND = "tiktoken"


class TiktokenTokenizer(EncodingMethods, Tokenizer):
    """A `tiktoken.Encoding`, saved with its whole table, so that a checkpoint opens without a network.

    Its methods are tiktoken's. But text that the encoding's pattern skips is a ValueError, where tiktoken drops it.
    """

    def __init__(self, encoding: "tiktoken.Encoding") -> None:
        self.encoding = encoding

    @classmethod
    def from_name(cls, name: str) -> "TiktokenTokenizer":
        """An encoding tiktoken knows by name ("gpt2", "o200k_base"); tiktoken may download its table.

        Raises:
            ValueError: tiktoken has none of that name.
            RuntimeError: the table is not on this machine, and cannot be downloaded; or tiktoken is missing.
        """
        tiktoken = import_tiktoken()
        try:
            return cls(tiktoken.get_encoding(name))
        except OSError as error:  # requests' errors are of this kind
            raise RuntimeError(
                f"the tokenizer {name!r} is not on this machine, and its table cannot be downloaded ({reason(error)}).\n"
                "Try again with a network, name a tokenizer's file instead, or learn one of your own text: bpe"
            ) from error

    @property
    def name(self) -> str:
        return str(self.encoding.name)

    @cached_property
    def n_vocab(self) -> int:
        return int(self.encoding.n_vocab)

    @property
    def special_tokens(self) -> dict[str, int]:
        return dict(self.encoding._special_tokens)

    @property
    def vocab(self) -> dict[int, bytes]:
        ranks = {index: token for token, index in self.encoding._mergeable_ranks.items()}
        return ranks | {index: name.encode("utf-8") for name, index in self.special_tokens.items()}

    @property
    def eot_token(self) -> int:
        if END_OF_TEXT not in self.encoding.special_tokens_set:
            raise NoEndOfTextError(f"tiktoken's {self.encoding.name!r} has no {END_OF_TEXT} token: build it with one")
        return int(self.encoding.eot_token)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(KIND, self._content())

    def encode_ordinary(self, text: str) -> list[int]:
        with without_panics():
            return self._whole(text, list(self.encoding.encode_ordinary(text)))

    def encode(
        self, text: str, *, allowed_special: SpecialChoice = frozenset(), disallowed_special: SpecialChoice = "all"
    ) -> list[int]:
        """As tiktoken's."""
        options: Any = {"allowed_special": allowed_special, "disallowed_special": disallowed_special}
        with without_panics():
            return self._whole(text, list(self.encoding.encode(text, **options)))

    def encode_batch(
        self,
        texts: Sequence[str],
        *,
        num_threads: int = 8,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
    ) -> list[list[int]]:
        """`encode` of each text."""
        options: Any = {"allowed_special": allowed_special, "disallowed_special": disallowed_special}
        with without_panics():
            batch = self.encoding.encode_batch(list(texts), num_threads=num_threads, **options)
        return [self._whole(text, list(ids)) for text, ids in zip(texts, batch, strict=True)]

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: SpecialChoice | None = None,
        disallowed_special: SpecialChoice | None = None,
    ) -> UInt[np.ndarray, " n"]:
        """As `encode_ordinary`, or with one of the choices as `encode`; uint16 where every id fits, else uint32."""
        if allowed_special is None and disallowed_special is None:
            ids = self.encode_ordinary(text)
        else:
            disallowed_special = "all" if disallowed_special is None else disallowed_special
            ids = self.encode(text, allowed_special=allowed_special or set(), disallowed_special=disallowed_special)
        return np.array(ids, dtype=id_dtype(self.n_vocab))

    @cached_property
    def _loses_nothing(self) -> bool:
        try:
            return covers_every_text(parse_pattern(self.encoding._pat_str))
        except UnsupportedPatternError:
            return False

    def _whole(self, text: str, ids: list[int]) -> list[int]:
        """The ids, where they are all of the text; ValueError otherwise."""
        if not self._loses_nothing:
            size, kept = len(well_formed(text).encode("utf-8")), len(self.decode_bytes(ids))
            if size != kept:
                raise ValueError(
                    f"{self.encoding.name!r} loses {size - kept} of the text's {size} bytes: tiktoken drops what its pattern "
                    "skips. Add an alternative for all other characters to the pattern, such as |[\\s\\S]."
                )
        return ids

    def decode_tokens_bytes(self, ids: Sequence[int]) -> list[bytes]:
        return [self._bytes_of([index]) for index in ids]

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return self._bytes_of(list(ids))

    def _bytes_of(self, ids: list[int]) -> bytes:
        try:
            return bytes(self.encoding.decode_bytes(ids))
        except (KeyError, OverflowError, TypeError) as error:
            raise UnknownTokenError(
                f"unknown token id: {error}; {self.encoding.name!r} has {self.n_vocab} ids"
            ) from error

    def to_tiktoken(self) -> "tiktoken.Encoding":
        """The encoding itself."""
        return self.encoding

    def save(self, path: Path) -> None:
        write_tokenizer(Path(path), KIND, self._content())

    @classmethod
    def load(cls, path: Path) -> "TiktokenTokenizer":
        return cls.from_content(read_content(Path(path), KIND), Path(path))

    def _content(self) -> dict[str, Any]:
        # An Encoding has no public way to its pattern, ranks and specials; pickling it reads the same three fields.
        state = self.encoding
        ranks = sorted(state._mergeable_ranks.items(), key=lambda item: item[1])
        return {
            "name": state.name,
            "pattern": state._pat_str,
            "ranks": [[base64.b64encode(token).decode("ascii"), rank] for token, rank in ranks],
            "special_tokens": dict(state._special_tokens),
        }

    @classmethod
    def from_content(cls, content: dict[str, Any], path: Path) -> "TiktokenTokenizer":
        """From a tokenizer file's content; `path` is for the error message."""
        tiktoken = import_tiktoken()
        with named(f"{path} is not a whole tiktoken table"):
            node = JsonNode(content, "content", str(path))
            node.only("name", "pattern", "ranks", "special_tokens")
            ranks: dict[bytes, int] = {}
            for pair in node["ranks"].items_of_list():
                token, rank = pair.pair()
                try:
                    data = base64.b64decode(token.text(), validate=True)
                except (ValueError, binascii.Error) as error:
                    raise token.error(f"is not base64: {error}") from None
                if not data or data in ranks:
                    raise token.error("is empty" if not data else f"is there twice: {data!r}")
                ranks[data] = rank.number()
            special_tokens = {one: index.number() for one, index in node["special_tokens"].fields()}
            ids = [*ranks.values(), *special_tokens.values()]
            if len(set(ids)) != len(ids):
                raise node.error("gives two tokens the same id")
            if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
                raise node["ranks"].error(f"lacks the single bytes {missing[:8]}; it could not encode every text")
            name, pattern = node["name"].text(), node["pattern"].text()
            with without_panics():
                return cls(
                    tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special_tokens)
                )

    def __repr__(self) -> str:
        return f"TiktokenTokenizer({self.encoding.name!r}, n_vocab={self.n_vocab})"
