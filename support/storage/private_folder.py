"""A private cache folder for compilers (numba, inductor), whose cached code is executed when it is read."""

import atexit
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path


class PrivateFolderError(RuntimeError):
    """Another user could have written to the folder."""


def user_caches() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME, or what the system has."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def private_folder(name: str, parent: Path | None = None) -> Path:
    """`gpt_from_scratch-NAME` in `parent` (default: the user's cache folder), made with mode 0700 if it is absent.

    Where it cannot be made or written, a temporary folder that is removed when this process ends.

    Raises:
        PrivateFolderError: what bears the name is no folder, another user's, or others may write it.
    """
    name = f"gpt_from_scratch-{name}"
    folder = (user_caches() if parent is None else parent) / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except FileExistsError:
        writable = True  # something that is not a folder: refused below
    except OSError:
        writable = False
    if not writable:
        folder = Path(tempfile.mkdtemp(prefix=name))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _check(folder)
    return folder


def _check(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise PrivateFolderError(f"{folder} is not a folder (or is a link): remove it")
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise PrivateFolderError(
            f"{folder} belongs to user {status.st_uid} with mode {stat.S_IMODE(status.st_mode):o}; it must be yours (0700), "
            "since its content is executed: remove it"
        )
