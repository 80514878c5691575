"""Hugging Face's tokenizers behind the project's interface. Their library is optional: the extra `hf`."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.tokenizer.bpe.printable import from_printable
from gpt_from_scratch.tokenizer.fields import JsonNode, named
from gpt_from_scratch.tokenizer.file_format import fingerprint, read_content, write_tokenizer
from gpt_from_scratch.tokenizer.protocol import (
    NoEndOfTextError,
    Tokenizer,
    UnknownTokenError,
    id_dtype,
    well_formed,
)

if TYPE_CHECKING:
    import tokenizers

KIND = "hugging_face"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BLANK = "▁"


class HuggingFaceTokenizer(Tokenizer):
    """A `tokenizers.Tokenizer`, saved with its whole tokenizer.json, so that a checkpoint opens without a network.

    Its ids are the library's, with nothing added around a text, and with special tokens in a text as ordinary text.
    """

    def __init__(self, document: str, end_of_text: str | None, chat_template: str | None = None) -> None:
        """
        Args:
            document: The content of a tokenizer.json.
            end_of_text: The special token that ends a text; None: there is none.
            chat_template: The Jinja template of its conversations, for those who use one.

        Raises:
            ValueError: the document is damaged, its kind of decoding is not supported, or it lacks that token.
            RuntimeError: the library is not installed.
        """
        described = json.loads(document)
        self.inner = _opened(document)
        self.inner.encode_special_tokens = True
        self.inner.no_truncation()
        self.inner.no_padding()
        self.document, self.end_of_text, self.chat_template = document, end_of_text, chat_template
        self._spelling = _spelling(described)
        if end_of_text is not None and self.inner.token_to_id(end_of_text) is None:
            raise ValueError(f"the tokenizer has no token {end_of_text!r}, which should end a text")
        unknown = described["model"].get("unk_token")
        self._unknown = None if unknown is None else self.inner.token_to_id(unknown)

    @cached_property
    def _bytes_of(self) -> dict[int, bytes]:
        added = {index: token.content for index, token in self.inner.get_added_tokens_decoder().items()}
        ordinary = {index: name for name, index in self.inner.get_vocab(with_added_tokens=False).items()}
        spelled = {index: _bytes(name, self._spelling) for index, name in ordinary.items()}
        return spelled | {index: name.encode("utf-8") for index, name in added.items()}

    @cached_property
    def n_vocab(self) -> int:
        return max(self._bytes_of) + 1

    @property
    def eot_token(self) -> int:
        index = None if self.end_of_text is None else self.inner.token_to_id(self.end_of_text)
        if index is None:
            raise NoEndOfTextError("this tokenizer names no token that ends a text")
        return index

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(KIND, self._content())

    def encode_ordinary(self, text: str) -> list[int]:
        """As the protocol's. Raises ValueError on a character that the vocabulary does not have."""
        ids = list(self.inner.encode(well_formed(text), add_special_tokens=False).ids)
        if self._unknown is not None and self._unknown in ids:
            raise ValueError("the text has a character that this tokenizer's vocabulary lacks: it would be lost")
        return ids

    def encode_to_numpy(self, text: str) -> UInt[np.ndarray, " n"]:
        return np.array(self.encode_ordinary(text), dtype=id_dtype(self.n_vocab))

    def decode(self, ids: Sequence[int]) -> str:
        """As the protocol's. Where the library writes a blank before each text, the first one is left out."""
        whole = self.decode_bytes(ids)  # which knows every id, or says so
        if self._spelling == "bytes":
            return whole.decode("utf-8", "replace")
        return str(self.inner.decode(list(ids), skip_special_tokens=False))

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        try:
            return b"".join([self._bytes_of[int(index)] for index in ids])
        except KeyError as error:
            raise UnknownTokenError(f"unknown token id: {error}; the tokenizer has {self.n_vocab} ids") from None

    def save(self, path: Path) -> None:
        write_tokenizer(Path(path), KIND, self._content())

    @classmethod
    def load(cls, path: Path) -> "HuggingFaceTokenizer":
        return cls.from_content(read_content(Path(path), KIND), Path(path))

    def _content(self) -> dict[str, Any]:
        return {"tokenizer": self.document, "end_of_text": self.end_of_text, "chat_template": self.chat_template}

    @classmethod
    def from_content(cls, content: dict[str, Any], path: Path) -> "HuggingFaceTokenizer":
        """From a tokenizer file's content; `path` is for the error message."""
        with named(f"{path} is not a whole tokenizer"):
            node = JsonNode(content, "content", str(path))
            node.only("tokenizer", "end_of_text", "chat_template")
            optional = {
                name: None if node.get(name) is None else node[name].text() for name in ("end_of_text", "chat_template")
            }
            return cls(node["tokenizer"].text(), optional["end_of_text"], optional["chat_template"])

    def __repr__(self) -> str:
        return f"HuggingFaceTokenizer(n_vocab={self.n_vocab}, end_of_text={self.end_of_text!r})"


def _opened(document: str) -> "tokenizers.Tokenizer":
    try:
        import tokenizers
    except ImportError as error:
        raise RuntimeError(f"this tokenizer needs the package tokenizers: {how_to_install('hf')}") from error
    try:
        return tokenizers.Tokenizer.from_str(document)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"the library tokenizers does not read it: {error}") from error


def _spelling(document: Mapping[str, Any]) -> str:
    """Spelling of tokens in the vocabulary: "bytes" in GPT-2's alphabet, or "blanks" with ▁ and <0x0A>.

    Raises:
        ValueError: neither: what the bytes of a token are would be a guess.
    """
    decoder = document.get("decoder") or {}
    steps = decoder.get("decoders", [decoder]) if isinstance(decoder, Mapping) else []
    kinds = [step.get("type") if isinstance(step, Mapping) else None for step in steps]
    if kinds == ["ByteLevel"]:
        return "bytes"
    replaces = any(
        step.get("type") == "Replace" and step.get("pattern") == {"String": _BLANK} and step.get("content") == " "
        for step in steps
    )
    if kinds == ["Metaspace"] or (replaces and set(kinds) <= {"Replace", "ByteFallback", "Fuse", "Strip"}):
        return "blanks"
    raise ValueError(
        f"its decoder is {json.dumps(document.get('decoder'))[:80]}: supported are ByteLevel, Metaspace, and Replace {_BLANK} "
        "with ByteFallback"
    )


def _bytes(token: str, spelling: str) -> bytes:
    if spelling == "bytes":
        return from_printable(token)
    if found := _BYTE.fullmatch(token):
        return bytes([int(found[1], 16)])
    return token.replace(_BLANK, " ").encode("utf-8")
