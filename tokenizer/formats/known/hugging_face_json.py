"""Hugging Face's tokenizer.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.file_format import FORMAT
from gpt_from_scratch.tokenizer.formats.format import Candidate, Format
from gpt_from_scratch.tokenizer.formats.hugging_face import read_hugging_face, write_hugging_face
from gpt_from_scratch.tokenizer.protocol import Tokenizer


class HuggingFaceJson(Format):
    """A byte-level BPE of the library tokenizers."""

    name: ClassVar[str] = "hugging-face"
    about: ClassVar[str] = "Hugging Face's tokenizer.json"
    files: ClassVar[tuple[str, ...]] = ("tokenizer.json",)
    rank: ClassVar[int] = 1

    @classmethod
    def recognises(cls, candidate: Candidate) -> bool:
        return "model" in candidate.document and candidate.document.get("format") != FORMAT

    @classmethod
    def read(cls, path: Path, pattern: str, special_tokens: Sequence[str]) -> Tokenizer:
        return read_hugging_face(path)

    @classmethod
    def write(cls, tokenizer: BytePairEncodingTokenizer, out: Path) -> None:
        write_hugging_face(tokenizer, out)
