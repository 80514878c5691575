"""GPT-2's mapping of bytes to printable characters, used in Hugging Face's and OpenAI's files."""

from gpt_from_scratch.tokenizer.bpe.byte_order import byte_symbols


def _characters() -> list[str]:
    """The character of each byte: itself where it is printable, else the next one from U+0100 on."""
    printable = sorted(range(256), key=byte_symbols("gpt2").__getitem__)[:188]
    others = (byte for byte in range(256) if byte not in set(printable))
    characters = {byte: chr(byte) for byte in printable}
    characters |= {byte: chr(0x100 + index) for index, byte in enumerate(others)}
    return [characters[byte] for byte in range(256)]


CHARACTERS = _characters()
_BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}


def to_printable(token: bytes) -> str:
    """The bytes as characters: a space is Ġ, a newline Ċ."""
    return "".join(CHARACTERS[byte] for byte in token)


def from_printable(token: str) -> bytes:
    """The bytes that the characters stand for. Raises ValueError on any other character."""
    try:
        return bytes(_BYTES[character] for character in token)
    except KeyError as error:
        raise ValueError(f"{token!r} is not spelt in GPT-2's byte alphabet: it has {error.args[0]!r}") from None
