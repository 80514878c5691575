"""tiktoken's file of ranks."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.format import Candidate, Format
from gpt_from_scratch.tokenizer.formats.tiktoken_folder import write_tiktoken_folder
from gpt_from_scratch.tokenizer.formats.tiktoken_ranks import free_ranks, read_ranks, write_ranks
from gpt_from_scratch.tokenizer.protocol import Tokenizer


class TiktokenFile(Format):
    """A token and its rank a line. It holds no pattern and no special tokens, which follow the ranks or fill their gaps."""

    name: ClassVar[str] = "tiktoken"
    about: ClassVar[str] = "tiktoken's file of ranks (*.tiktoken)"
    rank: ClassVar[int] = 3

    @classmethod
    def recognises(cls, candidate: Candidate) -> bool:
        return candidate.path.suffix == ".tiktoken"

    @classmethod
    def read(cls, path: Path, pattern: str, special_tokens: Sequence[str]) -> Tokenizer:
        numbered = dict(zip(special_tokens, free_ranks(path), strict=False))
        return read_ranks(path, pattern=pattern, special_tokens=numbered)

    @classmethod
    def write(cls, tokenizer: BytePairEncodingTokenizer, out: Path) -> None:
        write_ranks(tokenizer, out)

    @classmethod
    def export(cls, tokenizer: BytePairEncodingTokenizer, folder: Path, name: str) -> None:
        write_tiktoken_folder(tokenizer, folder, name)
