"""tiktoken's encodings behind the project's interface. tiktoken is optional: the extra `tiktoken`."""

import base64
import binascii
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt

from gpt_from_scratch.support.invocation import how_to_install
from gpt_from_scratch.tokenizer.files import fingerprint, read_content, write_tokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer, id_dtype

if TYPE_CHECKING:
    import tiktoken

KIND = "tiktoken"


class TiktokenTokenizer(Tokenizer):
    """A `tiktoken.Encoding`, saved with its whole table, so that a checkpoint opens without a network."""

    def __init__(self, encoding: "tiktoken.Encoding") -> None:
        self.encoding = encoding

    @classmethod
    def from_name(cls, name: str) -> "TiktokenTokenizer":
        """An encoding tiktoken knows by name ("gpt2", "o200k_base"); tiktoken may download its table."""
        return cls(import_tiktoken().get_encoding(name))

    @property
    def n_vocab(self) -> int:
        return int(self.encoding.n_vocab)

    @property
    def special_tokens(self) -> dict[str, int]:
        """Each special token's id."""
        return {name: self.encoding.encode_single_token(name) for name in sorted(self.encoding.special_tokens_set)}

    @property
    def eot_token(self) -> int:
        if END_OF_TEXT not in self.encoding.special_tokens_set:
            raise NoEndOfTextError(f"tiktoken's {self.encoding.name!r} has no {END_OF_TEXT} token: build it with one")
        return int(self.encoding.eot_token)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(KIND, self._content())

    def encode_ordinary(self, text: str) -> list[int]:
        return list(self.encoding.encode_ordinary(text))

    def encode_to_numpy(self, text: str) -> UInt[np.ndarray, " n"]:
        return np.array(self.encoding.encode_ordinary(text), dtype=id_dtype(self.n_vocab))

    def decode(self, ids: Sequence[int]) -> str:
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        try:
            return bytes(self.encoding.decode_bytes(list(ids)))
        except (KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"unknown token id: {error}; {self.encoding.name!r} has {self.n_vocab} ids") from error

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
        try:
            ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in content["ranks"]}
            special_tokens = {str(name): int(index) for name, index in content["special_tokens"].items()}
            name, pattern = str(content["name"]), str(content["pattern"])
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise ValueError(f"{path} is not a whole tiktoken table: {error!r}") from error
        missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
        if missing:
            raise ValueError(f"{path}: the table lacks the single bytes {missing[:8]}; it could not encode every text")
        return cls(tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special_tokens))

    def __repr__(self) -> str:
        return f"TiktokenTokenizer({self.encoding.name!r}, n_vocab={self.n_vocab})"


def import_tiktoken() -> Any:
    """The tiktoken package; RuntimeError says how to install it where it is missing."""
    try:
        import tiktoken
    except ImportError as error:
        raise RuntimeError(f"this tokenizer needs the tiktoken package: {how_to_install('tiktoken')}") from error
    return tiktoken
