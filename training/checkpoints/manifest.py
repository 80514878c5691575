"""The manifest of a checkpoint folder: what belongs to it, to the last bit.

    {"files": {"state.json": {"bytes": 812, "sha256": "…"}, …}, "format": …, "sha256": "…", "step": 100, "version": 1}

It is written last, so its presence says that everything else was written; its own SHA-256 is over the rest of it.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.files import sha256, write_bytes

MANIFEST_FILE = "manifest.json"
FORMAT = "gpt_from_scratch checkpoint"
VERSION = 1


def seal(folder: Path, step: int) -> None:
    """Write the manifest of all that `folder` holds now."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in names}
    write_bytes(folder / MANIFEST_FILE, _rendered({"format": FORMAT, "version": VERSION, "step": step, "files": files}))


def damage(folder: Path, step: int) -> list[str]:
    """What differs from the manifest, one line for each file; empty if the checkpoint is whole.

    Every file is read and compared by SHA-256: torch.load, safetensors and torch's distributed checkpoints all load a
    flipped byte without a word.
    """
    path = folder / MANIFEST_FILE
    try:
        data = path.read_bytes()
        manifest = json.loads(data)
    except FileNotFoundError:
        return [f"{path} is missing: a checkpoint of this project has one, written last"]
    except (OSError, ValueError, RecursionError) as error:
        return [f"{path} is damaged: {error}"]
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return [f"{path} is not the manifest of a checkpoint: expected the format {FORMAT!r}"]
    if manifest.get("version") != VERSION:
        return [f"{path} has format version {manifest.get('version')!r}; this release reads version {VERSION}"]
    digest = manifest.pop("sha256", None)
    if data != _rendered(manifest):
        return [f"{path} is damaged: it does not have the SHA-256 that it names ({digest})"]
    if manifest["step"] != step:
        return [
            f"{path} is the manifest of step {manifest['step']}, not of step {step}: the folder was renamed or mixed up"
        ]
    return [line for name, entry in manifest["files"].items() if (line := _difference(folder, name, entry))]


def _difference(folder: Path, name: str, entry: dict[str, Any]) -> str | None:
    path = folder / name
    # The hash proves that nothing changed by accident, not who wrote it: a name still may not lead out of the folder.
    if not re.fullmatch(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?", name, re.ASCII) or path.is_symlink():
        return f"{folder / MANIFEST_FILE} names {name!r}, which is not a plain file inside the checkpoint"
    if not path.is_file():
        return f"{path} is missing"
    if (size := path.stat().st_size) != entry["bytes"]:
        return f"{path} is damaged: it has {size:,} bytes, it was written with {entry['bytes']:,}"
    if sha256(path) != entry["sha256"]:
        return f"{path} is damaged: its SHA-256 is not the one it was written with"
    return None


def _rendered(manifest: dict[str, Any]) -> bytes:
    """The one way to write it, its own hash added; a reader compares bytes, so a changed blank is noticed too."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode("ascii")).hexdigest()
    return (json.dumps({**manifest, "sha256": digest}, sort_keys=True, indent=1) + "\n").encode("ascii")
