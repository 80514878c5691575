"""Shards: memory-mapped files of tokens, and the index that describes them exactly.

    index.json           dtype, tokenizer's fingerprint, and for each split its shards: file, tokens, largest id, SHA-256
    gpt_tokenizer.json   the tokenizer
    train-00000-000.tokens, …

A shard is a header of 64 bytes (magic, version, bytes per token, tokens, largest id, SHA-256 of the tokens), then the
tokens, little-endian. Shards may have any length. An index is untrusted: names must be plain, files must be in its folder
with the expected size and header, and ids must fit the vocabulary.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt

from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.support.storage.files import write_text, write_whole
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer, read_json

INDEX_FILE = "index.json"
FORMAT = "gpt_from_scratch token shards"
VERSION = 1
MAGIC = b"GPTTOKEN"
HEADER = struct.Struct("<8sIIQQ32s")
DTYPES: dict[str, type[np.uint16] | type[np.uint32]] = {"uint16": np.uint16, "uint32": np.uint32}


@dataclass(frozen=True)
class Shard:
    """One file of tokens, as its index describes it."""

    file: str
    tokens: int
    max_id: int
    sha256: str
    """SHA-256 of the tokens, without the header."""


@dataclass(frozen=True)
class Index:
    """The index of a folder of shards."""

    folder: Path
    dtype: str
    n_vocab: int
    tokenizer: str
    """The fingerprint of the tokenizer that made the tokens."""
    source: dict[str, Any]
    """Description of the source."""
    splits: dict[str, list[Shard]]

    @property
    def sha256(self) -> str:
        """SHA-256 over the index entries of all shards; identifies the tokens."""
        shards = {split: [[shard.tokens, shard.sha256] for shard in shards] for split, shards in self.splits.items()}
        return hashlib.sha256(json.dumps(shards, sort_keys=True).encode()).hexdigest()

    def tokens(self, split: str) -> int:
        """The number of tokens in a split."""
        return sum(shard.tokens for shard in self.shards(split))

    def shards(self, split: str) -> list[Shard]:
        """The shards of a split, in order. Raises ValueError if there is no such split."""
        if split not in self.splits:
            raise ValueError(f"{self.folder / INDEX_FILE} has no split {split!r}; it has {', '.join(self.splits)}")
        return self.splits[split]

    def open(self, split: str) -> list[UInt[np.ndarray, " _"]]:
        """The tokens of a split, memory-mapped, each shard checked by its size and header.

        Raises:
            ValueError, FileNotFoundError: a shard is missing or does not match the index.
        """
        return [self._open(shard) for shard in self.shards(split) if shard.tokens]

    def _open(self, shard: Shard) -> UInt[np.ndarray, " _"]:
        path = self.folder / shard.file
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"{path} is a link to a place outside {self.folder}: shards must be in the index's folder")
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing but listed in {INDEX_FILE}: copy it again, or prepare the data again"
            )
        dtype = np.dtype(DTYPES[self.dtype]).newbyteorder("<")
        expected = HEADER.size + shard.tokens * dtype.itemsize
        if (size := path.stat().st_size) != expected:
            raise ValueError(f"{path} is damaged: it has {size:,} bytes, {INDEX_FILE} says {expected:,}")
        with path.open("rb") as file:
            if file.read(HEADER.size) != header(shard, dtype.itemsize):
                raise ValueError(f"{path} is damaged, or from another data set: its header does not match {INDEX_FILE}")
        return np.memmap(path, dtype=dtype, mode="r", offset=HEADER.size, shape=(shard.tokens,))


def header(shard: Shard, itemsize: int) -> bytes:
    """The first 64 bytes of the shard's file."""
    return HEADER.pack(MAGIC, VERSION, itemsize, shard.tokens, shard.max_id, bytes.fromhex(shard.sha256))


def write_shard(path: Path, pieces: Iterable[Integer[np.ndarray, " _"]], dtype: str) -> Shard:
    """Write the pieces one after the other as one shard, atomically.

    Raises:
        ValueError: an id does not fit `dtype`.
    """
    kept = list(pieces)  # retried once after a temporary disk error
    return write_whole(path, lambda temporary: _write_at(temporary, path, kept, dtype))


def _write_at(place: Path, path: Path, pieces: Sequence[Integer[np.ndarray, " _"]], dtype: str) -> Shard:
    """Write the shard for `path` to a temporary `place`."""
    to = np.dtype(DTYPES[dtype]).newbyteorder("<")
    limit = (1 << 8 * to.itemsize) - 1
    largest, tokens, digest = 0, 0, hashlib.sha256()
    with place.open("wb") as file:
        file.write(bytes(HEADER.size))
        for piece in pieces:
            if len(piece) == 0:
                continue
            low, high = int(piece.min()), int(piece.max())
            if low < 0 or high > limit:
                raise ValueError(f"token id {low if low < 0 else high} does not fit {dtype} ({path})")
            data = np.ascontiguousarray(piece, dtype=to).data.cast("B")
            file.write(data)
            digest.update(data)
            tokens += len(piece)
            largest = max(largest, high)
        shard = Shard(path.name, tokens, largest, digest.hexdigest())
        file.seek(0)
        file.write(header(shard, to.itemsize))
    return shard


def write_index(index: Index) -> None:
    """Write `index.json` into the index's folder, atomically."""
    document = {"format": FORMAT, "version": VERSION, **asdict(index)}
    del document["folder"]
    write_text(index.folder / INDEX_FILE, json.dumps(document, indent=1) + "\n")


def read_index(path: Path) -> Index:
    """Read the index in a folder, or the index file itself.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, has another format, or names an impossible shard.
    """
    if path.is_dir():
        path = path / INDEX_FILE
    elif path.is_file() and path.name != INDEX_FILE:
        raise ValueError(
            f"{path} is a file, not a folder of token shards. Make shards of it first: {gpt('prepare', path)}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: expected a folder of token shards, which {gpt('prepare', 'TEXT')} makes")
    document = read_json(path)
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise ValueError(
            f"{path} is not an index of token shards that this release reads: expected format {FORMAT!r}, version "
            f"{VERSION}; it has {document.get('format')!r}, {document.get('version')!r}"
        )
    try:
        splits = {
            _plain(name): [
                Shard(_plain(s["file"]), _count(s["tokens"]), _count(s["max_id"]), _digest(s["sha256"])) for s in shards
            ]
            for name, shards in document["splits"].items()
        }
        index = Index(
            folder=path.parent,
            dtype=str(document["dtype"]),
            n_vocab=_count(document["n_vocab"]),
            tokenizer=_digest(document["tokenizer"]),
            source=dict(document["source"]),
            splits=splits,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error if isinstance(error, ValueError) else repr(error)}") from error
    if index.dtype not in DTYPES:
        raise ValueError(f"{path} has the dtype {index.dtype!r}; tokens are {' or '.join(DTYPES)}")
    for shard in (shard for shards in splits.values() for shard in shards):
        if shard.max_id >= index.n_vocab:
            raise ValueError(f"{path}: {shard.file} has the token id {shard.max_id}, its tokenizer {index.n_vocab} ids")
    return index


def damage(index: Index, progress: Callable[[int], None] = lambda n_bytes: None) -> list[str]:
    """Compare all shards with the index by reading and hashing them. One line per damaged file; empty if there is none.

    Args:
        progress: called with the number of bytes read since its last call.
    """
    found = []
    try:
        fingerprint = load_tokenizer(index.folder).fingerprint
        if fingerprint != index.tokenizer:
            found.append(f"{index.folder / TOKENIZER_FILE} is another tokenizer ({fingerprint}) than the index names")
    except (OSError, ValueError) as error:
        found.append(str(error))
    for shard in (shard for shards in index.splits.values() for shard in shards):
        try:
            tokens = index._open(shard) if shard.tokens else None
        except (OSError, ValueError) as error:
            found.append(str(error))
            continue
        digest = hashlib.sha256()
        for piece in () if tokens is None else np.array_split(tokens, -(-len(tokens) // (1 << 22))):
            data = piece.data.cast("B")
            digest.update(data)
            progress(len(data))
        if digest.hexdigest() != shard.sha256:
            found.append(f"{index.folder / shard.file} is damaged: its tokens do not have the SHA-256 of {INDEX_FILE}")
    return found


def _plain(name: Any) -> str:
    """Check that a file name is plain: no separator, no drive, no "..", not hidden."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or ".." in name:
        raise ValueError(f"{name!r} is not a plain file name (letters, digits, '.', '_', '-')")
    return name


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(f"{value!r} is not a count")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is not a SHA-256")
    return value
