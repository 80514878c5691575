"""The registry of tokenizer formats, and the opening of a tokenizer in any of them."""

from collections.abc import Sequence
from pathlib import Path

from gpt_from_scratch.support.registry_folder import classes_in
from gpt_from_scratch.support.storage.text_files import require_file
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.formats import known
from gpt_from_scratch.tokenizer.formats.format import Candidate, Format
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

FORMATS = {one.name: one for one in sorted(classes_in(known, Format).values(), key=lambda one: (one.rank, one.name))}
"""The formats by their names, the one that is preferred first."""


def open_tokenizer(path: Path | str, *, pattern: str = "gpt2", special_tokens: Sequence[str] = ()) -> Tokenizer:
    """The tokenizer at `path`: a file of one of the `FORMATS`, a folder with one, a checkpoint, or a run.

    A name that is neither may be one of tiktoken's encodings, such as gpt2.

    `pattern` serves the formats that hold none (GPT-2's and tiktoken's), `special_tokens` tiktoken's, which follow its
    ranks or fill its gaps. Raises FileNotFoundError, and ValueError where the file is damaged or cannot be honoured.
    """
    path = Path(path)
    if path.is_dir():
        names = [name for one in FORMATS.values() for name in one.files]
        # A checkpoint has it in model/; a run in its checkpoints, all of which have the same.
        folders = [path, path / "model", *sorted(path.glob("checkpoints/step-*/model"), reverse=True)]
        found = next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)
        if found is None:
            raise FileNotFoundError(f"no tokenizer in {path}: it has none of {', '.join(names)}")
        path = found
    if path.exists() and not path.is_file():
        require_file(path)
    if not path.exists():
        if (known_names := _tiktoken_names()) and str(path) in known_names:
            return TiktokenTokenizer.from_name(str(path))
        named = (
            f"one of tiktoken's names ({', '.join(known_names)})" if known_names else "gpt2, with the package tiktoken"
        )
        raise FileNotFoundError(f"no tokenizer at {path}: give a tokenizer's file, a folder with one, or {named}")
    candidate = Candidate(path)
    for one in reversed(FORMATS.values()):
        if one.recognises(candidate):
            return one.read(path, pattern, special_tokens)
    return load_tokenizer(path)  # which says what is wrong with it


def _tiktoken_names() -> list[str]:
    """The encodings that tiktoken knows by name; none where it is not installed."""
    try:
        from tiktoken import list_encoding_names
    except ImportError:
        return []
    return list(list_encoding_names())
