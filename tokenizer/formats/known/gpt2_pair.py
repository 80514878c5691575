"""GPT-2's pair of files."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.format import Candidate, Format
from gpt_from_scratch.tokenizer.formats.gpt2_files import read_gpt2, write_gpt2
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text


class Gpt2Pair(Format):
    """The ids of all tokens, and beside them the merges in order. It holds no pattern."""

    name: ClassVar[str] = "gpt2"
    about: ClassVar[str] = "GPT-2's vocab.json and merges.txt"
    files: ClassVar[tuple[str, ...]] = ("vocab.json",)
    rank: ClassVar[int] = 2
    into_folder: ClassVar[bool] = True

    @classmethod
    def recognises(cls, candidate: Candidate) -> bool:
        return candidate.path.name.endswith("vocab.json")

    @classmethod
    def read(cls, path: Path, pattern: str, special_tokens: Sequence[str]) -> Tokenizer:
        merges = path.with_name(path.name.removesuffix("vocab.json") + "merges.txt")
        return read_gpt2(path, merges, pattern=pattern_text(pattern))

    @classmethod
    def write(cls, tokenizer: BytePairEncodingTokenizer, out: Path) -> None:
        write_gpt2(tokenizer, out)
