"""A cache folder that only this user can write: what compilers keep there (numba, inductor) is executed when it is read."""

import os
import stat
import sys
from pathlib import Path


class PrivateFolderError(RuntimeError):
    """A folder in which another user could have put something."""


def user_caches() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME, or what the system has."""
    if configured := os.environ.get("XDG_CACHE_HOME"):
        return Path(configured)
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def private_folder(name: str) -> Path:
    """`gpt_from_scratch/NAME` in the user's cache folder, made with mode 0700 if it is absent.

    Raises:
        PrivateFolderError: it is a link, another user's, or others may write it.
        OSError: it cannot be made.
    """
    folder = user_caches() / "gpt_from_scratch" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PrivateFolderError(
            f"{folder} must be a folder of yours that nobody else can write (mode 0700), since what lies in it is executed; "
            f"it belongs to user {status.st_uid} with mode {stat.S_IMODE(status.st_mode):o}: remove it"
        )
    return folder
