"""The note of what a folder is made of: in a file while the work is under way, in the index when it is done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import gpt

NOTE_FILE = ".prepare.json"
"""Says, while the work is under way, what it is."""
KEY_VERSION = 3
"""Of what a key is made from; the first release's, which took files by name and size, has no number."""


def noted(key: str) -> dict[str, Any]:
    """What a folder says of what it is made of."""
    return {"key": key, "key_version": KEY_VERSION}


def require_same(found: Mapping[str, Any], key: str, folder: Path) -> None:
    """Refuse a folder whose note says that it was made of something else, or does not say what it was made of.

    Raises:
        ValueError: says what to do.
    """
    if found.get("key") == key:
        return
    if found.get("key_version") == KEY_VERSION:
        raise ValueError(
            f"{folder} holds data from another source or made with other settings: give another --out, or remove the folder"
        )
    use = gpt("train", "--data", str(folder))
    raise ValueError(
        f"{folder} was prepared by another release, which noted its source in another way: whether it is this one cannot be "
        f"told.\nWhat is finished can be learned from as it is: {use}\n"
        "To make it anew, give another --out, or remove the folder"
    )
