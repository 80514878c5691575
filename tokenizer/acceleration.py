"""The compiled kernels where they pay: loaded once a process, kept on disk, and never needed.

Whatever the kernels compute, plain Python computes too, byte for byte the same (`reference`): where numba is missing or
broken that is what runs, and a warning says so. By itself ("auto") a process stays with Python until the bytes it has
worked through cost about as much as getting the kernels would: nobody waits 15 s for a compilation to encode a sentence.
"""

import atexit
import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import os
import shutil
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

Backend = Literal["auto", "numba", "python"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

SHORT = 200
"""Bytes below which one call of a kernel (10 µs) is slower than Python."""
WORTH_LOADING = 4 << 20
"""Bytes that cost Python as much as loading numba and the compiled kernels from disk."""
WORTH_COMPILING = 64 << 20
"""Bytes that cost Python as much as the first compilation."""

_KERNELS = Path(__file__).with_name("numba_kernels")
_MODULES = ("splitting", "counting", "merging", "encoding")
_COMPLETE = "complete"

_lock = threading.Lock()
_python_bytes = 0


class Kernels(NamedTuple):
    """The modules of `numba_kernels`."""

    splitting: Any
    counting: Any
    merging: Any
    encoding: Any


_loaded: Kernels | str | None = None


class CacheFolderError(RuntimeError):
    """The folder for compiled kernels is not ours alone: what lies in it would be executed."""


def kernels_for(backend: Backend, num_bytes: int) -> Kernels | None:
    """The kernels, if a call on `num_bytes` should use them; None means Python.

    "numba" raises RuntimeError where the kernels cannot be had; "auto" warns once, and goes on in Python.
    """
    global _python_bytes
    if backend == "python":
        return None
    if backend == "numba":
        loaded = load()
        if isinstance(loaded, str):
            raise RuntimeError(f"backend 'numba' cannot be used: {loaded}. Install numba, or use backend 'python'.")
        return loaded
    if backend != "auto":
        raise ValueError(f"unknown backend {backend!r}: known are {', '.join(BACKENDS)}")
    if _loaded is None:
        with _lock:
            _python_bytes += num_bytes
        if _python_bytes < (WORTH_LOADING if _is_compiled() else WORTH_COMPILING):
            return None
    elif num_bytes < SHORT:
        return None
    loaded = load()
    return None if isinstance(loaded, str) else loaded


def load() -> Kernels | str:
    """The kernels, or why they cannot be had (which is also warned of, once)."""
    global _loaded
    with _lock:
        if _loaded is None:
            try:
                _loaded = _import_kernels()
            except (ImportError, OSError, CacheFolderError) as error:
                _loaded = f"{type(error).__name__}: {error}"
                warnings.warn(
                    f"the tokenizer runs in plain Python, with the same results some 20 times slower: {_loaded}",
                    RuntimeWarning,
                    stacklevel=3,
                )
        return _loaded


def _import_kernels() -> Kernels:
    folder = cache_folder()
    with _numba_cache_in(folder) as numba:
        if not (folder / _COMPLETE).exists():
            print(f"compiling the tokenizer's kernels: once, some 20 s; kept in {folder}", file=sys.stderr, flush=True)
        try:
            modules = [importlib.import_module(f"gpt_from_scratch.tokenizer.numba_kernels.{name}") for name in _MODULES]
        except numba.core.errors.NumbaError as error:
            raise ImportError(f"numba {numba.__version__} cannot compile the kernels: {error}") from error
    (folder / _COMPLETE).touch()
    return Kernels(*modules)


@contextlib.contextmanager
def _numba_cache_in(folder: Path) -> Iterator[Any]:
    """numba reads its cache folder when a function is decorated: ours is set just while our kernels are imported."""
    import numba

    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        yield numba
    finally:
        numba.config.CACHE_DIR = before


@functools.cache
def cache_folder() -> Path:
    """Where the compiled kernels are kept; made if absent, and readable and writable by this user alone.

    Below $NUMBA_CACHE_DIR if that is set, else in the user's cache folder; where neither can be written, a temporary
    folder for this process. Its name has a hash over all kernels and numba's version, since numba itself does not see
    that a kernel in another file has changed. Raises CacheFolderError if another user could have put something in it.
    """
    name = f"gpt_from_scratch-kernels-{_version()}"
    try:
        folder = _caches() / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except FileExistsError:
        writable = True  # something that is not a folder: refused below
    except OSError:
        writable = False
    if not writable:
        folder = Path(tempfile.mkdtemp(prefix=name))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _check_private(folder)
    return folder


def _check_private(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise CacheFolderError(f"{folder} is not a folder (or is a link): remove it")
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise CacheFolderError(
            f"{folder} belongs to user {status.st_uid} with mode {stat.S_IMODE(status.st_mode):o}; it must be yours "
            "(0700), since what lies in it is executed: remove it, or set NUMBA_CACHE_DIR to a folder of yours"
        )


def _caches() -> Path:
    if configured := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(configured)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _version() -> str:
    digest = hashlib.sha256()
    for path in sorted(_KERNELS.glob("*.py")):
        digest.update(path.read_bytes() + b"\0")
    for package in ("numba", "numpy"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    digest.update(f"python {sys.version_info[:2]}".encode())
    return digest.hexdigest()[:16]


@functools.cache
def _is_compiled() -> bool:
    try:
        return (cache_folder() / _COMPLETE).exists()
    except (CacheFolderError, importlib.metadata.PackageNotFoundError):
        return True  # then there is nothing to compile, and `load` soon says why
