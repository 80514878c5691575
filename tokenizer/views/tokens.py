"""The tokens of a text with their bytes and characters, also where a character is spread over several tokens."""

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from gpt_from_scratch.tokenizer.protocol import Tokenizer, well_formed

if TYPE_CHECKING:
    import tiktoken

AnyTokenizer = Union[Tokenizer, "tiktoken.Encoding"]

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


def tokens_of(tokenizer: AnyTokenizer, text: str) -> list[Token]:
    """The tokens of `text`, in linear time. Special tokens in it are text like any other.

    Raises ValueError if the tokens do not give the text back.
    """
    text = well_formed(text)
    ids = tokenizer.encode_ordinary(text)
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


def token_bytes(tokenizer: AnyTokenizer, index: int) -> bytes:
    """The bytes of one token."""
    return bytes(tokenizer.decode_bytes([index]))


@dataclass(frozen=True)
class TokenInfo:
    """A token as a language model is told of it."""

    token_index: int
    """The token's id in the vocabulary."""
    token_string: str
    token_split_into_characters: list[str]


def get_detailed_and_complete_tokenization_info_for_text(tokenizer: AnyTokenizer, text: str) -> list[TokenInfo]:
    """Each token of the text: its id, its string, and the characters it consists of.

    `tokenizer` is one of this package or a `tiktoken.Encoding`. Where a character is spread over several tokens, each
    has its bytes instead, written ``\\xf0\\x9f``. Raises ValueError if the tokenizer loses something of the text.
    """
    return [
        TokenInfo(token.index, token.text, [text_of(one) for one in token.characters])
        for token in tokens_of(tokenizer, text)
    ]
