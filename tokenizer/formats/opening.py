"""A tokenizer in whichever format a file or folder holds it."""

from collections.abc import Sequence
from pathlib import Path

from gpt_from_scratch.support.storage.text_files import require_file
from gpt_from_scratch.tokenizer.file_format import FORMAT, TOKENIZER_FILE, read_json
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.formats.gpt2_files import read_gpt2
from gpt_from_scratch.tokenizer.formats.hugging_face import read_hugging_face
from gpt_from_scratch.tokenizer.formats.tiktoken_ranks import free_ranks, read_ranks
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer


def open_tokenizer(path: Path | str, *, pattern: str = "gpt2", special_tokens: Sequence[str] = ()) -> Tokenizer:
    """The tokenizer at `path`: our file, tokenizer.json, vocab.json with its merges.txt, a .tiktoken file, or a folder.

    A name that is neither may be one of tiktoken's encodings, such as gpt2.

    `pattern` serves the formats that hold none (GPT-2's and tiktoken's), `special_tokens` tiktoken's, which follow its
    ranks or fill its gaps. Raises FileNotFoundError, and ValueError where the file is damaged or cannot be honoured.
    """
    path = Path(path)
    if path.is_dir():
        names = (TOKENIZER_FILE, "tokenizer.json", "vocab.json")
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise FileNotFoundError(f"no tokenizer in {path}: it has none of {', '.join(names)}")
        path = found
    if path.exists() and not path.is_file():
        require_file(path)
    if not path.exists():
        if (known := _tiktoken_names()) and str(path) in known:
            return TiktokenTokenizer.from_name(str(path))
        named = f"one of tiktoken's names ({', '.join(known)})" if known else "gpt2, with the package tiktoken"
        raise FileNotFoundError(f"no tokenizer at {path}: give a tokenizer's file, a folder with one, or {named}")
    if path.suffix == ".tiktoken":
        return read_ranks(
            path, pattern=pattern, special_tokens=dict(zip(special_tokens, free_ranks(path), strict=False))
        )
    if path.name.endswith("vocab.json"):
        merges = path.with_name(path.name.removesuffix("vocab.json") + "merges.txt")
        return read_gpt2(path, merges, pattern=pattern_text(pattern))
    document = read_json(path)
    if document.get("format") != FORMAT and "model" in document:
        return read_hugging_face(path)
    return load_tokenizer(path)


def _tiktoken_names() -> list[str]:
    """The encodings that tiktoken knows by name; none where it is not installed."""
    try:
        from tiktoken import list_encoding_names
    except ImportError:
        return []
    return list(list_encoding_names())
