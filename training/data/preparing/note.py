"""The record of what a folder is made from: in a file while the work is in progress, in the index when it is done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import gpt

NOTE_FILE = ".prepare.json"
"""File that describes the work while it is in progress."""
KEY_VERSION = 3
"""Version of the key's definition. The first release, which identified files by name and size, had no number."""


def noted(key: str) -> dict[str, Any]:
    """Read the record of what a folder is made from."""
    return {"key": key, "key_version": KEY_VERSION}


def require_same(found: Mapping[str, Any], key: str, folder: Path) -> None:
    """Refuse a folder that was made from other data or settings, or that does not record them.

    Raises:
        ValueError: says what to do.
    """
    if found.get("key") == key:
        return
    if found.get("key_version") == KEY_VERSION:
        raise ValueError(
            f"{folder} holds data from another source or made with other settings: give another --out, or remove the folder"
        )
    use = gpt("train", "--data", folder)
    raise ValueError(
        f"{folder} was prepared by another release, which recorded its source differently, so the sources cannot be compared.\n"
        f"Finished data can be used as it is: {use}\n"
        "To prepare it again, give another --out, or remove the folder"
    )
