"""Character tokenizer: one token per character."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt

from gpt_from_scratch.tokenizer.fields import JsonNode, named
from gpt_from_scratch.tokenizer.file_format import fingerprint, read_content, write_tokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, Tokenizer, UnknownTokenError, id_dtype, well_formed

KIND = "character"


class CharacterTokenizer(Tokenizer):
    """The sorted distinct characters of a text have the ids 0, 1, …; the end-of-text token has the last id."""

    def __init__(self, characters: str) -> None:
        """`characters` must be distinct and in ascending order; ValueError otherwise."""
        if not isinstance(characters, str) or list(characters) != sorted(set(characters)):
            raise ValueError("characters must be distinct and sorted; CharacterTokenizer.from_text sees to both")
        self.characters = characters
        self._ids = {character: index for index, character in enumerate(characters)}

    @classmethod
    def from_text(cls, text: str) -> "CharacterTokenizer":
        """The tokenizer of exactly the characters that occur in `text`."""
        if not text:
            raise ValueError("the text is empty: a CharacterTokenizer needs at least one character")
        return cls("".join(sorted(set(well_formed(text)))))

    @property
    def n_vocab(self) -> int:
        return len(self.characters) + 1

    @property
    def eot_token(self) -> int:
        return len(self.characters)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(KIND, {"characters": self.characters})

    def encode_ordinary(self, text: str) -> list[int]:
        """One id per character. Raises ValueError on a character that is not in the vocabulary."""
        text = well_formed(text)
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            character = error.args[0]
            raise ValueError(
                f"character {character!r} (U+{ord(character):04X}) at position {text.index(character)} is not among the "
                f"{len(self.characters)} this tokenizer was made from. Make the tokenizer from a text that has it "
                "(CharacterTokenizer.from_text), remove it from the text, or use a BytePairEncodingTokenizer, which "
                "can encode any text."
            ) from None

    def encode_to_numpy(self, text: str) -> UInt[np.ndarray, " n"]:
        return np.array(self.encode_ordinary(text), dtype=id_dtype(self.n_vocab))

    def decode(self, ids: Sequence[int]) -> str:
        """The text; the end-of-text token decodes to its name. Raises UnknownTokenError on an unknown id."""
        return "".join(map(self._character, ids))

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return self.decode(ids).encode("utf-8")

    def _character(self, index: int) -> str:
        if 0 <= index < len(self.characters):
            return self.characters[index]
        if index == self.eot_token:
            return END_OF_TEXT
        raise UnknownTokenError(f"unknown token id {index}: this tokenizer has the ids 0 to {self.eot_token}")

    def save(self, path: Path) -> None:
        write_tokenizer(Path(path), KIND, {"characters": self.characters})

    @classmethod
    def load(cls, path: Path) -> "CharacterTokenizer":
        return cls.from_content(read_content(Path(path), KIND), Path(path))

    @classmethod
    def from_content(cls, content: dict[str, Any], path: Path) -> "CharacterTokenizer":
        """From a tokenizer file's content; `path` is for the error message."""
        with named(path):
            node = JsonNode(content, "content", str(path))
            node.only("characters")
            if not content.get("characters"):
                raise ValueError("'characters' must be a text of at least one character")
            return cls(node["characters"].text())

    def __repr__(self) -> str:
        return f"CharacterTokenizer(n_vocab={self.n_vocab})"
