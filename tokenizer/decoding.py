"""Decoding of token ids, where a character may be spread over several tokens."""

import codecs
from collections.abc import Iterable, Iterator, Sequence


def decode_stream(tokens: Iterable[bytes]) -> Iterator[str]:
    """The text as the tokens come, a character as soon as its last byte is there; never a part of a character.

    Bytes that cannot become a character are U+FFFD, exactly as in decoding all tokens at once.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in tokens:
        if text := decoder.decode(token):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def offsets(tokens: Sequence[bytes]) -> list[int]:
    """For each token the place in the text of the character that its first byte belongs to (as tiktoken counts them)."""
    places: list[int] = []
    length = 0
    for token in tokens:
        places.append(max(0, length - (0x80 <= token[0] < 0xC0)))
        length += sum(not 0x80 <= byte < 0xC0 for byte in token)
    return places
