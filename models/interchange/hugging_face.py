"""The additional files of a model's folder that Hugging Face's libraries need."""

import contextlib
import functools
import json
from pathlib import Path

from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.interchange import pretrained
from gpt_from_scratch.support.storage.files import sync_file
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer

CARD_FILE = "README.md"


def write_beside(folder: Path, config: GPTConfig, tokenizer: Tokenizer, card: str | None) -> str | None:
    """Write all that `folder`, which has a model's weights and config.json, needs beside them; `card` is its model card.

    The folder is a new one that has yet to take its place: each file is on the disk, and for their names the caller cares.

    Returns why there is no tokenizer.json, where the libraries cannot do what the tokenizer does; else None.
    """
    tokenizer.save(folder / TOKENIZER_FILE)
    files, lack = beside(config, tokenizer)  # type: ignore[arg-type]  # a tokenizer is hashed by its identity
    if card is not None:
        files = {**files, CARD_FILE: card}
    for path, text in ((folder / name, text) for name, text in files.items()):
        with path.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            sync_file(file.fileno(), path)
    with contextlib.suppress(NoEndOfTextError):
        pretrained.name_end_of_text(folder, tokenizer.eot_token)
    return lack


@functools.lru_cache(maxsize=1)  # a run saves the same ones again and again, and a large vocabulary takes seconds
def beside(config: GPTConfig, tokenizer: Tokenizer) -> tuple[dict[str, str], str | None]:
    """The files of the tokenizer and of `generate`'s settings by their names, and why there is no tokenizer.json."""
    # Imported here: who only reads checkpoints needs none of it.
    from gpt_from_scratch.tokenizer.formats.hugging_face_folder import tokenizer_config, tokenizer_json

    tokens: dict[str, int] = {}
    with contextlib.suppress(NoEndOfTextError):
        tokens = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.eot_token)
    files = {
        "tokenizer_config.json": tokenizer_config(tokenizer, config.block_size),
        "generation_config.json": json.dumps(tokens, indent=2) + "\n",
    }
    try:
        return {**files, "tokenizer.json": tokenizer_json(tokenizer)}, None
    except ValueError as error:
        return files, str(error)
