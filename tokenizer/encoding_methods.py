"""The other methods of tiktoken's `Encoding`, so that a tokenizer can replace one."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gpt_from_scratch.tokenizer.decoding import decode_stream, offsets
from gpt_from_scratch.tokenizer.protocol import well_formed
from gpt_from_scratch.tokenizer.special_tokens import SpecialChoice

if TYPE_CHECKING:
    import tiktoken


class EncodingMethods:
    """The methods by the names of tiktoken's `Encoding`, in terms of the few that come first here.

    As there an unknown id is a KeyError (which here is a ValueError as well).
    """

    @abstractmethod
    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of `text`, in which special tokens are text like any other."""

    @abstractmethod
    def decode_tokens_bytes(self, ids: Sequence[int]) -> list[bytes]:
        """The bytes of each id."""

    @property
    @abstractmethod
    def special_tokens(self) -> dict[str, int]:
        """Each special token's id."""

    @property
    @abstractmethod
    def vocab(self) -> dict[int, bytes]:
        """The bytes of each id, the special tokens included."""

    @abstractmethod
    def to_tiktoken(self) -> "tiktoken.Encoding":
        """A `tiktoken.Encoding` with the same ids."""

    @cached_property
    def n_vocab(self) -> int:
        return max(self.vocab) + 1

    @property
    def max_token_value(self) -> int:
        """The largest id."""
        return self.n_vocab - 1

    @property
    def special_tokens_set(self) -> set[str]:
        """The special tokens' names."""
        return set(self.special_tokens)

    def is_special_token(self, token: int) -> bool:
        """Whether the id is a special token's."""
        return token in self.special_tokens.values()

    def token_byte_values(self) -> list[bytes]:
        """The bytes of all tokens but the special ones, in ascending order."""
        return sorted(self._id_of_bytes)

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """The id of one token, a special one's by its name. Raises KeyError if it is none."""
        data = well_formed(text_or_bytes).encode("utf-8") if isinstance(text_or_bytes, str) else bytes(text_or_bytes)
        name = data.decode("utf-8", "replace")
        if data not in self._id_of_bytes and name in self.special_tokens:
            return self.special_tokens[name]
        return self._id_of_bytes[data]

    @cached_property
    def _id_of_bytes(self) -> dict[bytes, int]:
        special = set(self.special_tokens.values())
        # Of two ids with the same bytes the first that was made.
        return {data: index for index, data in reversed(self.vocab.items()) if index not in special}

    def encode_ordinary_batch(self, texts: Sequence[str], *, num_threads: int = 8) -> list[list[int]]:
        """`encode_ordinary` of each text."""
        return [self.encode_ordinary(text) for text in texts]

    def encode_with_unstable(
        self, text: str, *, allowed_special: SpecialChoice = frozenset(), disallowed_special: SpecialChoice = "all"
    ) -> tuple[list[int], list[list[int]]]:
        """The ids that no continuation of `text` can change, and the ways in which it may go on behind them.

        By tiktoken itself, which must be installed (RuntimeError otherwise).
        """
        options: Any = {"allowed_special": allowed_special, "disallowed_special": disallowed_special}
        stable, completions = self._as_tiktoken.encode_with_unstable(text, **options)
        return list(stable), [list(ids) for ids in completions]

    @cached_property
    def _as_tiktoken(self) -> "tiktoken.Encoding":
        return self.to_tiktoken()

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join(self.decode_tokens_bytes(ids))

    def decode(self, ids: Sequence[int], errors: str = "replace") -> str:
        """The text; `errors` says what becomes of bytes that are not UTF-8, as in `bytes.decode`."""
        return self.decode_bytes(ids).decode("utf-8", errors=errors)

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one id. Raises KeyError (a ValueError as well) if it is unknown."""
        return self.decode_tokens_bytes([token])[0]

    def decode_batch(
        self, batch: Sequence[Sequence[int]], *, errors: str = "replace", num_threads: int = 8
    ) -> list[str]:
        """`decode` of each list of ids."""
        return [self.decode(ids, errors) for ids in batch]

    def decode_bytes_batch(self, batch: Sequence[Sequence[int]], *, num_threads: int = 8) -> list[bytes]:
        """`decode_bytes` of each list of ids."""
        return [self.decode_bytes(ids) for ids in batch]

    def decode_stream(self, ids: Iterable[int]) -> Iterator[str]:
        """The text as the ids come, never a part of a character; joined it is `decode`'s."""
        return decode_stream(self.decode_single_token_bytes(index) for index in ids)

    def decode_with_offsets(self, ids: Sequence[int]) -> tuple[str, list[int]]:
        """The text, and for each token the place of its first character in it (a token that begins within a character has
        that character's place). Raises ValueError if the bytes are not UTF-8."""
        tokens = self.decode_tokens_bytes(ids)
        return b"".join(tokens).decode("utf-8"), offsets(tokens)
