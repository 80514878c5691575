"""Import of a Hugging Face model's tokenizer: as our own class if it is exactly equal, else as a wrapper of theirs."""

import json
import warnings
from pathlib import Path
from typing import Any

from gpt_from_scratch.tokenizer.files import read_json
from gpt_from_scratch.tokenizer.formats.opening import open_tokenizer
from gpt_from_scratch.tokenizer.hugging_face_wrapper import HuggingFaceTokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, Tokenizer

TOKENIZER_JSON, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer that `import_tokenizer` reads."""
    return any((folder / name).is_file() for name in (TOKENIZER_JSON, "vocab.json"))


def import_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a model's folder. Its end-of-text token is the model's: eos_token.

    Our own has no name for that token but <|endoftext|>, and no chat template: a tokenizer with another is theirs.

    Raises:
        FileNotFoundError: there is none in a form that is read.
        ValueError: it is damaged, or not supported, by name.
    """
    path = folder / TOKENIZER_JSON
    if not path.is_file():
        if (folder / "vocab.json").is_file():
            return open_tokenizer(folder)
        held = next((name for name in ("tokenizer.model", "spiece.model") if (folder / name).is_file()), None)
        hint = f" but {held}: save it once with AutoTokenizer.from_pretrained(…).save_pretrained(…)" if held else ""
        raise FileNotFoundError(f"no tokenizer in {folder}: it has no {TOKENIZER_JSON}{hint}")
    end, template = end_of_text(folder), _chat_template(folder)
    document = json.dumps(read_json(path), ensure_ascii=False, separators=(",", ":"))
    if end == END_OF_TEXT and template is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning names a difference
            try:
                return open_tokenizer(path)
            except (ValueError, UserWarning):
                pass
    try:
        return HuggingFaceTokenizer(document, end, template)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def end_of_text(folder: Path) -> str | None:
    """The token that ends a text, from tokenizer_config.json, else by its number in config.json; None if none is named."""
    if (folder / CONFIG).is_file():
        named = read_json(folder / CONFIG).get("eos_token")
        named = named.get("content") if isinstance(named, dict) else named
        if isinstance(named, str):
            return named
    number = read_json(folder / "config.json").get("eos_token_id") if (folder / "config.json").is_file() else None
    number = number[0] if isinstance(number, list) and number else number
    return _names(read_json(folder / TOKENIZER_JSON)).get(number) if isinstance(number, int) else None


def _names(document: dict[str, Any]) -> dict[int, str]:
    added = document.get("added_tokens")
    return {
        token["id"]: token["content"]
        for token in (added if isinstance(added, list) else [])
        if isinstance(token, dict) and isinstance(token.get("id"), int) and isinstance(token.get("content"), str)
    }


def _chat_template(folder: Path) -> str | None:
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_text(encoding="utf-8")
    template = read_json(folder / CONFIG).get("chat_template") if (folder / CONFIG).is_file() else None
    return template if isinstance(template, str) else None
