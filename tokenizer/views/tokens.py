"""Tokens of a text with their bytes and characters, also for characters that span several tokens."""

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Union, runtime_checkable

from gpt_from_scratch.tokenizer.protocol import Tokenizer, well_formed

if TYPE_CHECKING:
    import tiktoken

AnyTokenizer = Union[Tokenizer, "tiktoken.Encoding"]


@runtime_checkable
class PlainTokenizer(Protocol):
    """The minimal interface for views: a tokenizer that encodes, decodes, and gives the bytes of one id."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: list[int]) -> str: ...

    def decode_single_token_bytes(self, token: int) -> bytes: ...


ShownTokenizer = Union[Tokenizer, PlainTokenizer, "tiktoken.Encoding"]

_CONTROLS = {0x00: "NULL", 0x07: "BELL", 0x08: "BACKSPACE", 0x09: "TAB", 0x0A: "LINE FEED", 0x0B: "LINE TABULATION"} | {
    0x0C: "FORM FEED",
    0x0D: "CARRIAGE RETURN",
    0x1B: "ESCAPE",
    0x7F: "DELETE",
    0x85: "NEXT LINE",
}


@dataclass(frozen=True)
class Character:
    """A character of the text, or as much of it as lies in one token."""

    character: str
    place: int
    """Its place in the text."""
    begin: int
    end: int
    """Which of the character's bytes are in the token: from `begin` to before `end`, …"""
    size: int
    """… of so many."""

    @property
    def whole(self) -> bool:
        return self.end - self.begin == self.size

    @property
    def data(self) -> bytes:
        return self.character.encode("utf-8")[self.begin : self.end]

    @property
    def name(self) -> str:
        return character_name(self.character)


@dataclass(frozen=True)
class Token:
    """One token of a text."""

    index: int
    """Its id."""
    data: bytes
    characters: tuple[Character, ...]

    @property
    def text(self) -> str:
        """Its characters; the bytes of a character that is not whole are written ``\\xf0``."""
        return "".join(text_of(one) for one in self.characters)


def text_of(character: Character) -> str:
    """The character, or its bytes that are in the token as ``\\xf0\\x9f``."""
    return character.character if character.whole else "".join(f"\\x{byte:02x}" for byte in character.data)


def character_name(character: str) -> str:
    """The Unicode name, also of control characters."""
    code = ord(character)
    return unicodedata.name(character, "") or _CONTROLS.get(code) or f"<{unicodedata.category(character)} U+{code:04X}>"


def tokens_of(tokenizer: ShownTokenizer, text: str) -> list[Token]:
    """The tokens of `text`, in linear time. Special tokens in it are text like any other.

    Of a tokenizer that has no `encode_ordinary` they are what `encode` gives.

    Raises ValueError if the tokens do not give the text back.
    """
    text = well_formed(text)
    ids = tokenizer.encode_ordinary(text) if hasattr(tokenizer, "encode_ordinary") else tokenizer.encode(text)
    tokens: list[Token] = []
    place = within = 0
    for index in ids:
        data = token_bytes(tokenizer, index)
        characters: list[Character] = []
        taken = 0
        while taken < len(data) and place < len(text):
            size = len(text[place].encode("utf-8"))
            end = min(size, within + len(data) - taken)
            characters.append(Character(text[place], place, within, end, size))
            taken += end - within
            within = 0 if end == size else end
            place += end == size
        if b"".join(one.data for one in characters) != data:
            raise ValueError(
                f"{tokenizer!r} is lossy: its token {index} is {data!r}, which is not what the text has there"
            )
        tokens.append(Token(index, data, tuple(characters)))
    if place < len(text):
        raise ValueError(f"{tokenizer!r} is lossy: its tokens end at character {place} of {len(text)}")
    return tokens


def token_bytes(tokenizer: ShownTokenizer, index: int) -> bytes:
    """The bytes of one token."""
    if hasattr(tokenizer, "decode_bytes"):
        return bytes(tokenizer.decode_bytes([index]))
    return bytes(tokenizer.decode_single_token_bytes(index))


@dataclass(frozen=True)
class TokenInfo:
    """A token as a language model is told of it."""

    token_index: int
    """Its place among the text's tokens: 0, 1, 2, …"""
    token_string: str
    token_split_into_characters: list[str]
    token_id: int | None = field(default=None, compare=False)
    """Its id in the vocabulary. Not compared: two texts can be told apart by their strings, whatever the numbers are."""


def get_detailed_and_complete_tokenization_info_for_text(tokenizer: ShownTokenizer, text: str) -> list[TokenInfo]:
    """Each token of the text: its place among the tokens, its string, the characters it consists of, and its id.

    `tokenizer` is one of this package, a `tiktoken.Encoding` or a `PlainTokenizer`. Where a character is spread over several
    tokens, each
    has its bytes instead, written ``\\xf0\\x9f``. Raises ValueError if the tokenizer loses something of the text.
    """
    return [
        TokenInfo(place, token.text, [text_of(one) for one in token.characters], token.index)
        for place, token in enumerate(tokens_of(tokenizer, text))
    ]
