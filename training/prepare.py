"""Tokenize text into shards for training, on all cores. If it is stopped, the same command continues.

    gpt prepare my_texts/ --tokenizer bpe --vocab-size 4096 --out data/mine
    gpt prepare fineweb-edu                      # streamed from the Hugging Face hub
    gpt prepare verify data/mine                 # compare all shards with the index

SOURCE is {sources}.
Then train on it: gpt train --data FOLDER.
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("prepare", "gpt_from_scratch.training.prepare:main")


import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from gpt_from_scratch.support.command_line.arguments import EMPTY_PATH, settings
from gpt_from_scratch.support.command_line.settings import Many, Threads, check_settings
from gpt_from_scratch.support.command_line.streams import surviving
from gpt_from_scratch.support.storage.files import ensure_folder, remove, write_text
from gpt_from_scratch.support.storage.lock import LOCK_FILE, locked
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer, read_json
from gpt_from_scratch.tokenizer.protocol import Tokenizer, id_dtype
from gpt_from_scratch.training.data.data_folder import data_folder
from gpt_from_scratch.training.data.preparing.left_out import LeftOutRows
from gpt_from_scratch.training.data.preparing.note import NOTE_FILE, noted, require_same
from gpt_from_scratch.training.data.preparing.opening import open_source
from gpt_from_scratch.training.data.preparing.parts import Part, is_part_lock
from gpt_from_scratch.training.data.preparing.workers import RECORDS, Job, tokenize
from gpt_from_scratch.training.data.reading.known_files import KnownFiles
from gpt_from_scratch.training.data.registry import folder_name, prepared_sources
from gpt_from_scratch.training.data.shards import INDEX_FILE, Index, damage, read_index, write_index
from gpt_from_scratch.training.data.source import SPLITS, Document, Source, SourceRequest
from gpt_from_scratch.training.data.tokenizers import make_tokenizer

VERIFY = """Compare all shards with the index. Returns one line per damaged file.

    gpt prepare verify data/mine"""


@dataclass(frozen=True)
class PrepareConfig:
    """Settings of `gpt prepare`."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """A file, a folder, an address or a name."""
    out: Path | None = None
    """Folder for the shards; default: a folder with the source's name in data/ (or in $GPT_DATA_DIR)."""
    tokenizer: str = "gpt2"
    """"gpt2"; "bpe": learned from the source; "character": the source's characters; or a tokenizer file."""
    vocab_size: Many = 32_768
    """Vocabulary size of a byte pair encoding that is learned."""
    pattern: str = "gpt2"
    """Split pattern for learning byte pair encoding: gpt2, gpt4, o200k, tinystories, none, or a regular expression."""
    field: str | None = None
    """The field or column with the text; default: "text", another usual name, or the only field that holds text."""
    map: str | None = None
    """Your function that converts a row (a dict) to a text or None: module:function, or file.py:function."""
    filter: str | None = None
    """Your function that says whether to keep a text."""
    max_bad_rows: int = 0
    """Maximum number of broken rows (invalid JSON, missing field, no text), which are counted and skipped."""
    subset: str | None = None
    """The configuration of a data set of the hub; OWNER/NAME@REVISION pins a revision (default: the newest at the first
    call).
    """
    validation_fraction: float = 0.01
    """Fraction of the data for validation: the end of a text, or documents selected by their hash."""
    shard_tokens: int = 1 << 26
    """Maximum number of tokens in a shard."""
    pieces: int | None = None
    """Use only this many pieces of the source (32 MB of text, a row group, a file of the hub, or 2,000 stories)."""
    part: str | None = None
    """Process only part I/N of the pieces, such as 3/8: N commands, also on different hosts, share the work and a folder.
    In a Slurm array, "slurm" selects this task's part. The last command combines the results, which are the same as from
    one command.
    """
    workers: Threads | None = None
    """Number of processes; default: one per core."""

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.source:
            raise ValueError(f"SOURCE: {EMPTY_PATH}")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction is {self.validation_fraction}: give a share between 0 and 1")
        for name in ("vocab_size", "shard_tokens", "pieces", "workers"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}: at least 1 is needed")
        if self.max_bad_rows < 0:
            raise ValueError(f"max_bad_rows is {self.max_bad_rows}: give a number of rows, 0 or more")
        Part.of(self.part)

    @property
    def asked(self) -> SourceRequest:
        """The source options."""
        return SourceRequest(self.source, self.field, self.validation_fraction, self.map, self.filter, self.subset)

    @property
    def folder(self) -> Path:
        """The folder for the shards."""
        return self.out or data_folder() / folder_name(self.source)


@dataclass(frozen=True)
class VerifyConfig:
    """Settings of `gpt prepare verify`."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """A folder that `prepare` made."""


def prepare(config: PrepareConfig, console: Console) -> Index | None:
    """Tokenize the source into `config.folder`, unless it is done already; returns None if other parts are unfinished.

    Each piece of the source gets its own shards and a record of them, so finished pieces are not repeated. The result is
    byte-identical for any number of processes, parts, hosts and interruptions.

    Raises:
        FileNotFoundError, ValueError: the source cannot be used, or the folder holds other data.
        HeldError: another process prepares data there, or the same part.
    """
    source, folder, part = open_source(config.asked), config.folder, Part.of(config.part)
    n_pieces = min(source.n_pieces, config.pieces or source.n_pieces)
    files = KnownFiles.of(source.files(n_pieces))
    key = _key(config, source, files, n_pieces)
    ensure_folder(folder)
    job = Job(source, folder, config.shard_tokens, config.max_bad_rows)
    mine = part.pieces(n_pieces)

    def begin() -> Index | Tokenizer:
        if (folder / INDEX_FILE).exists():
            index = read_index(folder)
            require_same(index.source, key, folder)
            _tidy(folder)
            return index
        return _tokenizer_of(config, source, n_pieces, key)

    def work() -> None:
        todo = [piece for piece in mine if not job.record(piece).exists()]
        with Progress(*COLUMNS, console=console) as bar:
            task = bar.add_task("tokenizing", total=len(mine), completed=len(mine) - len(todo), tokens=0)

            def progress(pieces: int, tokens: int) -> None:
                bar.update(task, advance=pieces, tokens=bar.tasks[0].fields["tokens"] + tokens)

            tokenize(job, todo, config.workers or _cores(), progress)
        files.require_unchanged()

    def end() -> Index | None:
        found = begin()
        if isinstance(found, Index):
            return found
        if missing := sum(not job.record(piece).exists() for piece in range(n_pieces)):
            console.print(f"part {config.part} is done; {missing} of {n_pieces} pieces remain for the other parts")
            return None
        left_out = LeftOutRows.of(job.left_out(piece) for piece in range(n_pieces))
        left_out.require_few_broken(config.max_bad_rows)
        for line in left_out.lines():
            console.print(visible(line))
        return _indexed(config, job, n_pieces, found, key, source.n_pieces)

    whole = locked(folder / LOCK_FILE, f"another process is preparing data in {folder}", "give another --out")
    if part.count == 1:
        with whole, part.alone_in(folder):
            if isinstance(found := begin(), Index):
                return found
            for leftover in folder.glob(".*.tmp"):
                remove(leftover)
            work()
            return end()
    with part.held_in(folder):
        with part.in_turn(folder):
            if isinstance(found := begin(), Index):
                return found
        work()
        with part.in_turn(folder):
            return end()


def _indexed(config: PrepareConfig, job: Job, n_pieces: int, tokenizer: Tokenizer, key: str, of_pieces: int) -> Index:
    """Write the index of all pieces, which completes the folder."""
    made = [job.shards(piece) for piece in range(n_pieces)]
    splits = {split: [shard for piece in made for shard in piece[split]] for split in SPLITS}
    if empty := [split for split in SPLITS if not splits[split]]:
        raise ValueError(f"{_nothing_for(empty[0], config, of_pieces)}\nRemove {job.folder} first")
    index = Index(
        folder=job.folder,
        dtype=np.dtype(id_dtype(tokenizer.n_vocab)).name,
        n_vocab=tokenizer.n_vocab,
        tokenizer=tokenizer.fingerprint,
        source={"name": config.source, "validation_fraction": config.validation_fraction, **noted(key)},
        splits=splits,
    )
    write_index(index)
    for leftover in job.folder.glob(".*.tmp"):
        remove(leftover)
    _tidy(job.folder)
    return index


def _nothing_for(split: str, config: PrepareConfig, n_pieces: int) -> str:
    """Message for a split without text, with a remedy."""
    if config.pieces is not None and config.pieces < n_pieces:
        return f"the first {config.pieces} of {n_pieces} pieces of {config.source} have no text for {split}: raise --pieces"
    return (
        f"{config.source} contains no text for {split} (--validation-fraction is {config.validation_fraction}): "
        "give more text, or another fraction"
    )


COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.completed} of {task.total} pieces, {task.fields[tokens]:,} tokens"),
    TimeElapsedColumn(),
    TextColumn("left"),
    TimeRemainingColumn(),
)


def _key(config: PrepareConfig, source: Source, files: KnownFiles, n_pieces: int) -> str:
    """Hash of everything that determines the content of the shards."""
    tokenizer: list[str | int] = [config.tokenizer]
    if config.tokenizer == "bpe":
        tokenizer += [config.vocab_size, config.pattern]
    elif config.tokenizer not in ("gpt2", "character"):
        tokenizer = [load_tokenizer(config.tokenizer).fingerprint]
    everything = [source.describe(), files.hashes, n_pieces, tokenizer, config.validation_fraction, config.shard_tokens]
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


def _tokenizer_of(config: PrepareConfig, source: Source, n_pieces: int, key: str) -> Tokenizer:
    """Load the tokenizer that a stopped command left in the folder, or make one and save it with a record of the work."""
    folder = config.folder
    if (folder / NOTE_FILE).exists():
        require_same(read_json(folder / NOTE_FILE), key, folder)
        return load_tokenizer(folder)
    if others := [
        path.name
        for path in folder.iterdir()
        if path.name not in (LOCK_FILE, TOKENIZER_FILE) and not is_part_lock(path)
    ]:
        raise ValueError(f"{folder} holds {others[0]!r} and no index of shards: give a new or empty folder as --out")
    tokenizer = _new_tokenizer(config, source, n_pieces)
    tokenizer.save(folder / TOKENIZER_FILE)
    write_text(folder / NOTE_FILE, json.dumps(noted(key)) + "\n")
    return tokenizer


def _tidy(folder: Path) -> None:
    """Remove working files, which are not needed once the index is written."""
    shutil.rmtree(folder / RECORDS, ignore_errors=True)
    remove(folder / NOTE_FILE)


def _new_tokenizer(config: PrepareConfig, source: Source, n_pieces: int) -> Tokenizer:
    """The tokenizer that is asked for; the source is read where it is learned."""

    def texts(*splits: str) -> Iterator[str]:
        rows = (row for piece in range(n_pieces) for row in source.documents(piece))
        found = False
        for row in rows:
            if isinstance(row, Document) and row.split in splits and row.text:
                found = True
                yield row.text
        if not found:
            raise ValueError(_nothing_for(splits[0], config, source.n_pieces))

    return make_tokenizer(
        config.tokenizer, config.vocab_size, config.pattern, train=texts("train"), all_texts=texts(*SPLITS)
    )


def _cores() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def verify(folder: Path, console: Console) -> list[str]:
    """Compare all shards with the index. Returns one line per damaged file."""
    index = read_index(folder)
    total = sum(index.tokens(split) for split in index.splits) * np.dtype(index.dtype).itemsize
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=total)
        return damage(index, lambda n_bytes: bar.advance(task, n_bytes))


@surviving()
def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit status 1: damage was found."""
    arguments = sys.argv[1:] if arguments is None else arguments
    console = Console(soft_wrap=True, markup=False, highlight=False)
    program = "gpt prepare"
    if arguments[:1] == ["verify"]:
        folder = settings(VerifyConfig, arguments[1:], prog=f"{program} verify", description=VERIFY).folder
        lines = verify(folder, console)
        console.print("\n".join(lines) or f"{folder} is whole")
        return 1 if lines else 0
    described = (__doc__ or "").format(sources=prepared_sources())
    config: PrepareConfig = settings(PrepareConfig, arguments, prog=program, description=described)
    try:
        index = prepare(config, console)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("give the same command again to continue") from None
    if index is None:
        return 0
    counts = ", ".join(f"{index.tokens(split):,} {split}" for split in index.splits)
    console.print(f"{index.folder}: {counts} tokens ({index.dtype}, {index.n_vocab:,} ids)")
    return 0
