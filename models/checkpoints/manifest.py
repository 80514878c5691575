"""The manifest of a checkpoint folder: its files with their sizes and SHA-256.

    {"files": {"state.json": {"bytes": 812, "sha256": "…"}, …}, "format": …, "sha256": "…", "step": 100, "version": 1}

It is written last, so if it exists, everything else was written. Its own SHA-256 covers the rest of it.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.described import shown
from gpt_from_scratch.support.storage.files import retried, sha256, write_bytes

MANIFEST_FILE = "manifest.json"
FORMAT = "gpt_from_scratch checkpoint"
VERSION = 1


def entry(path: Path) -> dict[str, Any]:
    """The manifest's entry for a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def seal(folder: Path, step: int, known: Mapping[str, dict[str, Any]] | None = None) -> None:
    """Write the manifest of all files in `folder`. `known` are entries that are already computed."""
    known = known or {}
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: known.get(name) or entry(folder / name) for name in names}
    write_bytes(folder / MANIFEST_FILE, _rendered({"format": FORMAT, "version": VERSION, "step": step, "files": files}))


def files(folder: Path) -> list[str]:
    """The file names in the manifest of a complete checkpoint."""
    return list(json.loads((folder / MANIFEST_FILE).read_bytes())["files"])


def damage(folder: Path, step: int | None = None, read: Collection[str] = ()) -> list[str]:
    """Compare a checkpoint with its manifest: one line per differing file, empty if it is complete.

    Every file is read and compared by SHA-256: torch.load, safetensors and torch's distributed checkpoints all load a
        flipped byte without an error.

    Args:
        step: the step in the folder's name; None: it has another name.
        read: files that a reader would open if they exist; these must be in the manifest.

    Raises:
        PermissionError: a file is not readable, so its state is unknown; no other checkpoint may replace it.
    """
    path = folder / MANIFEST_FILE
    try:
        data = retried(path.read_bytes)  # a temporary failure is not damage
        manifest = json.loads(data)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            return [f"{path} is not the manifest of a checkpoint: expected the format {FORMAT!r}"]
        if manifest.get("version") != VERSION:
            return [f"{path} has format version {shown(manifest.get('version'))}; this release reads version {VERSION}"]
        digest = manifest.pop("sha256", None)
        if data != _rendered(manifest):
            return [f"{path} is damaged: it does not have the SHA-256 that it names ({shown(digest)})"]
    except FileNotFoundError:
        return [f"{path} is missing: a checkpoint of this project has one, written last"]
    except PermissionError as error:
        raise _forbidden(path, error) from error
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror or error}"]
    except (ValueError, RecursionError) as error:
        return [f"{path} is damaged: {error}"]
    written, made_at = manifest.get("files"), manifest.get("step")
    if type(made_at) is not int or not isinstance(written, dict) or not written:
        return [f"{path} is damaged: it names no step, or no files"]
    if step is not None and made_at != step:
        return [f"{path} is the manifest of step {made_at}, not of step {step}: the folder was renamed or mixed up"]
    lines = [line for name, about in written.items() if (line := _difference(folder, name, about))]
    stray = [name for name in read if name not in written and retried((folder / name).exists)]
    return lines + [f"{folder / name} is not one of the checkpoint's files: it was added later" for name in stray]


def _difference(folder: Path, name: str, written: object) -> str | None:
    path = folder / name
    # The hash detects accidental changes, not a malicious author: a name must still be inside the folder.
    outside = f"{folder / MANIFEST_FILE} names {shown(name)}, which is not a plain file inside the checkpoint"
    if not re.fullmatch(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?", name, re.ASCII):
        return outside
    if not isinstance(written, dict) or type(written.get("bytes")) is not int:
        return f"{folder / MANIFEST_FILE} is damaged: it does not say how large {name} is"
    try:
        found = retried(path.lstat)
        if stat.S_ISLNK(found.st_mode):
            return outside
        if not stat.S_ISREG(found.st_mode):
            return f"{path} is missing: its path is not a file"
        if found.st_size != written["bytes"]:
            return f"{path} is damaged: it has {found.st_size:,} bytes, expected {shown(written['bytes'])}"
        if sha256(path) != written.get("sha256"):
            return f"{path} is damaged: its SHA-256 differs from the manifest's"
    except FileNotFoundError:
        return f"{path} is missing"
    except PermissionError as error:
        raise _forbidden(path, error) from error
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    return None


def _forbidden(path: Path, error: PermissionError) -> PermissionError:
    words = "permission denied: ask its owner to make it readable (chmod u+r, or a+r for all), then try again"
    return PermissionError(error.errno, words, os.fspath(path))


def _rendered(manifest: dict[str, Any]) -> bytes:
    """The canonical text with its own hash; a reader compares bytes, so any change is detected."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode("ascii")).hexdigest()
    return (json.dumps({**manifest, "sha256": digest}, sort_keys=True, indent=1) + "\n").encode("ascii")
