"""The tokenizer's own file: one JSON object with a format version, a kind, the content and the content's SHA-256.

    {"format": "gpt_from_scratch tokenizer", "version": 1, "kind": "character", "sha256": "…", "content": {…}}

The hash is the tokenizer's fingerprint. Nothing in the file is executed, and every field is checked before use.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.files import write_text

TOKENIZER_FILE = "gpt_tokenizer.json"
"""The name inside a checkpoint's model/ folder; tokenizer.json is left to Hugging Face's format."""

FORMAT = "gpt_from_scratch tokenizer"
VERSION = 1


def fingerprint(kind: str, content: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON (sorted keys, no spaces, ASCII) of the kind and the content."""
    canonical = json.dumps({"kind": kind, "content": content}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def write_tokenizer(path: Path, kind: str, content: Mapping[str, Any]) -> None:
    """Write a tokenizer file atomically."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "sha256": fingerprint(kind, content),
        "content": content,
    }
    write_text(path, json.dumps(document, separators=(",", ":")) + "\n")


def read_tokenizer(path: Path) -> tuple[str, dict[str, Any]]:
    """The kind and the content of a tokenizer file; ValueError says what is wrong with it, if anything is."""
    document = read_json(path)
    if document.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a tokenizer file of this project (its 'format' is {document.get('format')!r}, expected "
            f"{FORMAT!r}). Other formats are read by `gpt tokenizer convert`."
        )
    if document.get("version") != VERSION:
        raise ValueError(
            f"{path} has format version {document.get('version')!r}; this release reads version {VERSION}. "
            "Upgrade gpt_from_scratch, or save the tokenizer again with this release."
        )
    kind, content = document.get("kind"), document.get("content")
    if not isinstance(kind, str) or not isinstance(content, dict):
        raise ValueError(f"{path}: 'kind' must be text and 'content' an object; the file is damaged")
    if (actual := fingerprint(kind, content)) != document.get("sha256"):
        raise ValueError(
            f"{path} is damaged: its content has SHA-256 {actual}, the file says {document.get('sha256')}. "
            "Copy it again from its source."
        )
    return kind, content


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a UTF-8 file; ValueError if it is anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a number of thousands of digits
        raise ValueError(f"{path} is not JSON: {error}. The file is damaged or of another format.") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds a JSON {type(document).__name__}, expected an object")
    return document


def read_content(path: Path, expected_kind: str) -> dict[str, Any]:
    """The content of a tokenizer file of one kind."""
    kind, content = read_tokenizer(path)
    if kind != expected_kind:
        raise ValueError(
            f"{path} holds a tokenizer of kind {kind!r}, not {expected_kind!r}: open it with load_tokenizer"
        )
    return content
