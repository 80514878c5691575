"""Loader of the optional numba kernels: once per process, cached on disk, with a fallback to Python.

Plain Python gives identical results (`reference`). It is used, with a warning, if numba is missing or broken. With "auto" a
process uses Python until it has processed so many bytes that loading the kernels would have paid off, so encoding a
sentence never waits 15 s for a compilation.
"""

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from gpt_from_scratch.support.storage.private_folder import PrivateFolderError, private_folder

Backend = Literal["auto", "numba", "python"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

SHORT = 200
"""Bytes below which one call of a kernel (10 µs) is slower than Python."""
WORTH_LOADING = 4 << 20
"""Number of bytes for which Python takes as long as loading numba and the cached kernels."""
WORTH_COMPILING = 64 << 20
"""Number of bytes for which Python takes as long as the first compilation."""

_KERNELS = Path(__file__).parent
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
    """Load the kernels; returns them, or the reason why they are not available, with one warning."""
    global _loaded
    with _lock:
        if _loaded is None:
            try:
                _loaded = _import_kernels()
            except (ImportError, OSError, PrivateFolderError) as error:
                _loaded = f"{type(error).__name__}: {error}"
                warnings.warn(
                    f"the tokenizer runs in plain Python, with the same results but about 20 times slower: {_loaded}",
                    RuntimeWarning,
                    stacklevel=3,
                )
        return _loaded


def _import_kernels() -> Kernels:
    folder = cache_folder()
    with _numba_cache_in(folder) as numba:
        if not (folder / _COMPLETE).exists():
            print(
                f"compiling the tokenizer's kernels (only once, about 20 s); cached in {folder}",
                file=sys.stderr,
                flush=True,
            )
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
    """Folder of the compiled kernels: a private folder below $NUMBA_CACHE_DIR if that is set, else in the user's caches.

    Its name has a hash over all kernels and numba's version, since numba itself does not see that a kernel in another file
    has changed. Raises PrivateFolderError if another user could have put something in it.
    """
    configured = os.environ.get("NUMBA_CACHE_DIR")
    return private_folder(f"kernels-{_version()}", Path(configured) if configured else None)


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
    except (PrivateFolderError, importlib.metadata.PackageNotFoundError):
        return True  # then there is nothing to compile, and `load` soon says why
