"""Files at an fsspec address: s3://, hf://, https://, memory:// and whatever else fsspec or a package beside it reads.

A piece is a file. The worker copies the file into its own folder, reads it as a local file, and removes it. So every kind
of file can be read from everywhere, and a broken connection costs only that piece.
"""

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.storage.downloads import reason
from gpt_from_scratch.support.storage.files import sha256
from gpt_from_scratch.training.data.source import Document, LeftOut, Source

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://.*", re.DOTALL)
CHECKSUM = "#sha256="
"""Suffix of an address that gives the expected SHA-256."""
MARKS = (
    "size",
    "ETag",
    "etag",
    "LastModified",
    "last_modified",
    "created",
    "mtime",
    "sha256",
    "blob_id",
    "commit_hash",
)
"""File-system attributes that change with a file's content."""


@dataclass(frozen=True)
class RemoteFile:
    """A remote file with its attributes."""

    address: str
    mark: dict[str, str]
    checksum: str | None = None


class OpenLocal(ABC):
    """Function that makes the source of a copied file."""

    @abstractmethod
    def __call__(self, path: Path) -> Source:
        """The source of the copy."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Everything that determines the documents of a file, as JSON."""


class RemoteSource(Source):
    """Source of remote files; each file is a piece."""

    def __init__(self, files: Sequence[RemoteFile], open_local: OpenLocal) -> None:
        self.remote, self.open_local = list(files), open_local

    def describe(self) -> dict[str, Any]:
        files = [[file.address, file.mark, file.checksum] for file in self.remote]
        return {"files": files, **self.open_local.describe()}

    @property
    def n_pieces(self) -> int:
        return len(self.remote)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        file = self.remote[piece]
        with copied(file) as path:
            try:
                source = self.open_local(path)
                for part in range(source.n_pieces):
                    for made in source.documents(part):
                        yield _of_address(made, path, file) if isinstance(made, LeftOut) else made
            except ValueError as error:
                raise ValueError(str(error).replace(str(path), file.address)) from error


def _of_address(row: LeftOut, path: Path, file: RemoteFile) -> LeftOut:
    here, there = str(path), file.address
    return replace(row, where=row.where.replace(here, there), why=row.why.replace(here, there))


def is_remote(word: str) -> bool:
    """Whether a word is an address and not a path."""
    return ADDRESS.fullmatch(word) is not None


def find(address: str) -> list[RemoteFile]:
    """The files at an address: the file itself, those that match the pattern, or those in the folder and its subfolders.

    Raises:
        FileNotFoundError: there is none. RuntimeError: the address cannot be read.
    """
    address, _, checksum = address.partition(CHECKSUM)
    if checksum and not re.fullmatch(r"[0-9a-f]{64}", checksum):
        raise ValueError(f"{address}{CHECKSUM}{checksum}: a SHA-256 is 64 digits 0-9 and a-f")
    with _asking(address):
        system, path = _system(address)
        if any(mark in path for mark in "*[") or ("?" in path and not address.startswith("http")):
            names = sorted(system.glob(path))
        elif not address.startswith("http") and system.isdir(path):
            names = sorted(system.find(path))
        else:
            names = [path]
        visible = [name for name in names if not any(part.startswith(".") for part in name.split("/")[1:])]
        infos = [(name, system.info(name)) for name in visible or names]
    files = [(name, info) for name, info in infos if info.get("type", "file") == "file"]
    if not files:
        raise FileNotFoundError(f"there is no file at {address}")
    if checksum and len(files) > 1:
        raise ValueError(f"{address} names {len(files)} files: a SHA-256 can be given for one")
    found = []
    for name, info in files:
        mark = {key: str(info[key]) for key in MARKS if info.get(key) is not None}
        found.append(RemoteFile(system.unstrip_protocol(name), mark, checksum or None))
    return found


@contextmanager
def copied(file: RemoteFile) -> Iterator[Path]:
    """Context with a local copy of a remote file, with the same name.

    Raises:
        ValueError: the file has changed, or has another checksum.
        RuntimeError: it cannot be copied.
    """
    with tempfile.TemporaryDirectory(prefix="gpt-prepare-") as folder:
        path = Path(folder) / (file.address.rpartition("/")[2].partition("?")[0] or "file")
        with _asking(file.address):
            system, name = _system(file.address)
            before = system.info(name)
            system.get_file(name, str(path))
        now = {key: str(before[key]) for key in MARKS if before.get(key) is not None}
        if now != file.mark:
            changed = ", ".join(key for key in {**now, **file.mark} if now.get(key) != file.mark.get(key))
            raise ValueError(
                f"{file.address} has changed since the work began ({changed}): restore the old file, or remove the prepared "
                "data and prepare it again"
            )
        if "size" in file.mark and path.stat().st_size != int(file.mark["size"]):
            raise RuntimeError(
                f"{file.address} was cut off: {path.stat().st_size:,} of {int(file.mark['size']):,} bytes were received. "
                "Give the same command again; finished work is kept"
            )
        if file.checksum is not None and (digest := sha256(path)) != file.checksum:
            raise ValueError(
                f"{file.address} has the SHA-256 {digest}, expected {file.checksum}: it is a different file"
            )
        yield path


def _system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it, with listings not cached."""
    try:
        import fsspec  # type: ignore[import-untyped]
    except ImportError as error:
        raise RuntimeError(f"{address} is read with the package fsspec: {how_to_install('data')}") from error
    system, path = fsspec.core.url_to_fs(address)
    system.invalidate_cache()
    return system, path


@contextmanager
def _asking(address: str) -> Iterator[None]:
    """Convert errors of a file system to a RuntimeError that names the address."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file at {address}") from error
    except ImportError as error:  # fsspec says which package reads such addresses
        raise RuntimeError(f"{address} needs another package: {error}") from error
    except RuntimeError:
        raise
    except Exception as error:  # from any package that the address needs
        raise RuntimeError(
            f"{address} cannot be read: {reason(error)}.\nGive the same command again; finished work is kept"
        ) from error
