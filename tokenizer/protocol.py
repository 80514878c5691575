"""`Tokenizer`: the interface of a tokenizer for training, evals and the server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt

END_OF_TEXT = "<|endoftext|>"


class NoEndOfTextError(ValueError, AttributeError):
    """The tokenizer was made without an end-of-text token.

    An AttributeError as well, since isinstance with a protocol asks for every property through hasattr.
    """


class UnknownTokenError(ValueError, KeyError):
    """An id that the tokenizer does not have. A KeyError as well, since tiktoken raises one."""

    __str__ = Exception.__str__  # a KeyError's own would put the message in quotes


@runtime_checkable
class Tokenizer(Protocol):
    """The interface of tokenizers. No method adds an end-of-text token; callers do."""

    @property
    def n_vocab(self) -> int:
        """The number of rows an embedding needs: the largest id plus one."""
        ...

    @property
    def eot_token(self) -> int:
        """The id that separates documents. Raises NoEndOfTextError if the tokenizer was made without one."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the tokenizer is: equal exactly where two tokenizers give every text the same ids."""
        ...

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of `text`, in which special tokens are text like any other."""
        ...

    def encode_to_numpy(self, text: str) -> UInt[np.ndarray, " n"]:
        """As `encode_ordinary`; uint16 where every id fits, else uint32."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; bytes that are not UTF-8 become U+FFFD. Raises UnknownTokenError on an unknown id."""
        ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of `ids`. Raises UnknownTokenError on an unknown id."""
        ...

    def save(self, path: Path) -> None:
        """Write the tokenizer to one JSON file, atomically."""
        ...

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read what `save` wrote. Raises ValueError if the file is damaged or of another kind."""
        ...


def id_dtype(n_vocab: int) -> type[np.uint16] | type[np.uint32]:
    """The smallest type of a token shard: uint16 where every id fits, else uint32."""
    return np.uint16 if n_vocab <= 1 << 16 else np.uint32


def well_formed(text: str) -> str:
    """`text` with surrogate pairs joined and lone surrogates replaced by U+FFFD, so that it has a UTF-8 form.

    This is what tiktoken does with a str that came, say, from JSON's lone ``\\ud83d``.
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
