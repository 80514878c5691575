"""The base class of tokenizer formats; each file of `known/` has a subclass.

Opening, `gpt tokenizer convert`, `gpt export`, their help and their errors are made from what it declares.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.file_format import read_json
from gpt_from_scratch.tokenizer.protocol import Tokenizer


class Candidate:
    """A file whose format is to be detected."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @functools.cached_property
    def document(self) -> dict[str, Any]:
        """The JSON object that it holds; empty where it holds none."""
        with self.path.open("rb") as file:
            if not file.read(64).lstrip().startswith(b"{"):
                return {}
        try:
            return read_json(self.path)
        except ValueError:
            return {}


class Format:
    """A format of tokenizer files."""

    name: ClassVar[str]
    """The format's name for `--to`."""
    about: ClassVar[str]
    """Description of its files."""
    files: ClassVar[tuple[str, ...]] = ()
    """File names that identify a folder in this format; the first one is the default for writing."""
    rank: ClassVar[int] = 9
    """Of a folder with files of several formats the lowest is opened. The highest is asked first whether a file is its own."""
    into_folder: ClassVar[bool] = False
    """Whether it is written as a folder, and not as one file."""

    @classmethod
    def recognises(cls, candidate: Candidate) -> bool:
        """Whether a file is of this format."""
        return candidate.path.name in cls.files

    @classmethod
    def read(cls, path: Path, pattern: str, special_tokens: Sequence[str]) -> Tokenizer:
        """The tokenizer in a file.

        Args:
            pattern: the split pattern, by name or as an expression, where the format holds none.
            special_tokens: the special tokens, where the format holds none.

        Raises:
            ValueError: the file is damaged, or cannot be honoured; says what.
        """
        raise ValueError(f"{path}: a tokenizer in the format {cls.name} cannot be read, only written")

    @classmethod
    def write(cls, tokenizer: BytePairEncodingTokenizer, out: Path) -> None:
        """Write the tokenizer to a file, or into a folder.

        Raises:
            ValueError: the format cannot hold this tokenizer; says what it lacks.
        """
        raise ValueError(f"a tokenizer in the format {cls.name} cannot be written, only read")

    @classmethod
    def export(cls, tokenizer: BytePairEncodingTokenizer, folder: Path, name: str) -> None:
        """Write what another program needs to open the tokenizer called `name` into an existing folder."""
        cls.write(tokenizer, folder if cls.into_folder else folder / cls.files[0])
