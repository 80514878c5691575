"""Opening of a tokenizer's own file, of any kind."""

from pathlib import Path

from gpt_from_scratch.tokenizer.file_format import TOKENIZER_FILE, read_json, read_tokenizer
from gpt_from_scratch.tokenizer.protocol import Tokenizer

__all__ = ["TOKENIZER_FILE", "load_tokenizer", "read_json"]


def load_tokenizer(path: Path | str) -> Tokenizer:
    """The tokenizer in a file, or in the folder that holds a `TOKENIZER_FILE`, of whichever kind the file says.

    Raises FileNotFoundError if there is none, and ValueError if the file is damaged or its kind unknown.
    """
    path = Path(path)
    if path.is_dir():
        path = path / TOKENIZER_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no tokenizer at {path}: expected a tokenizer file, or a folder with {TOKENIZER_FILE}")
    kind, content = read_tokenizer(path)
    # Imported here, so that a character model loads nothing else.
    if kind == "character":
        from gpt_from_scratch.tokenizer.character import CharacterTokenizer

        return CharacterTokenizer.from_content(content, path)
    if kind == "byte_pair_encoding":
        from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer

        return BytePairEncodingTokenizer.from_content(content, path)
    if kind == "tiktoken":
        from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

        return TiktokenTokenizer.from_content(content, path)
    if kind == "hugging_face":
        from gpt_from_scratch.tokenizer.hugging_face_wrapper import HuggingFaceTokenizer

        return HuggingFaceTokenizer.from_content(content, path)
    raise ValueError(
        f"{path} holds a tokenizer of unknown kind {kind!r}; this release knows character, byte_pair_encoding, "
        "tiktoken, hugging_face"
    )
