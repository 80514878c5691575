"""The project's own tokenizer file."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.file_format import FORMAT, TOKENIZER_FILE
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.formats.format import Candidate, Format
from gpt_from_scratch.tokenizer.protocol import Tokenizer


class Ours(Format):
    """One file, whatever the tokenizer's kind."""

    name: ClassVar[str] = "ours"
    about: ClassVar[str] = "this project's own file"
    files: ClassVar[tuple[str, ...]] = (TOKENIZER_FILE,)
    rank: ClassVar[int] = 0

    @classmethod
    def recognises(cls, candidate: Candidate) -> bool:
        return candidate.document.get("format") == FORMAT

    @classmethod
    def read(cls, path: Path, pattern: str, special_tokens: Sequence[str]) -> Tokenizer:
        return load_tokenizer(path)

    @classmethod
    def write(cls, tokenizer: BytePairEncodingTokenizer, out: Path) -> None:
        tokenizer.save(out)
