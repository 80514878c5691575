"""Worker processes that tokenize pieces of a source into shards. The result does not depend on their number."""

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt

from gpt_from_scratch.support.command_line.described import value_of
from gpt_from_scratch.support.storage.files import ensure_folder, write_text
from gpt_from_scratch.tokenizer.files import load_tokenizer, read_json
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer, id_dtype
from gpt_from_scratch.training.data.preparing.left_out import LeftOutRows
from gpt_from_scratch.training.data.shards import Shard, write_shard
from gpt_from_scratch.training.data.source import SPLITS, LeftOut, Source

RECORDS = ".pieces"
LEFT_OUT = "left out"
SAY_EVERY = 1 << 18  # tokens between two progress reports of a worker


@dataclass(frozen=True)
class Job:
    """Description of the work: the tokenizer is in `folder`, and the shards go there."""

    source: Source
    folder: Path
    shard_tokens: int
    max_bad_rows: int = 0

    def record(self, piece: int) -> Path:
        """Path of the file that lists a piece's shards. It is written after them, so it exists only if the piece is
        done.
        """
        return self.folder / RECORDS / f"{piece}.json"

    def shards(self, piece: int) -> dict[str, list[Shard]]:
        """Shards of a finished piece, by split."""
        record = read_json(self.record(piece))
        try:
            return {split: value_of(list[Shard], record.get(split), split) for split in SPLITS}
        except (ValueError, TypeError) as error:  # a field is missing, or of a wrong type
            raise ValueError(
                f"{self.record(piece)} is damaged: {error}. Remove it, and prepare the data again"
            ) from error

    def left_out(self, piece: int) -> LeftOutRows:
        """Rows of a finished piece that gave no document."""
        kinds = read_json(self.record(piece)).get(LEFT_OUT, {})
        return LeftOutRows({str(kind): (int(count), str(first)) for kind, (count, first) in kinds.items()})


def tokenize(job: Job, pieces: list[int], workers: int, progress: Callable[[int, int], None]) -> None:
    """Tokenize these pieces. If this process is stopped or killed, its workers end at once.

    Args:
        progress: called with the numbers of pieces and tokens done since its last call.

    Raises:
        ValueError, OSError: a worker failed; the other workers are stopped.
    """
    if not pieces:
        return
    ensure_folder(job.record(0).parent)
    context = multiprocessing.get_context("spawn")
    said: SimpleQueue[int] = context.SimpleQueue()
    with ProcessPoolExecutor(min(workers, len(pieces)), context, _start, (job, said)) as pool, _stopping_the_workers():
        running = {pool.submit(_do_piece, piece) for piece in pieces}
        while running:
            finished, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            tokens = 0
            while not said.empty():
                tokens += said.get()
            progress(len(finished), tokens)
            for future in finished:
                future.result()


@contextmanager
def _stopping_the_workers() -> Iterator[None]:
    """End the workers at once on Ctrl-C, SIGTERM or an error. The next run repeats their unfinished pieces."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    done = False
    try:
        yield
        done = True
    finally:
        signal.signal(signal.SIGTERM, before)
        for process in () if done else multiprocessing.active_children():
            process.terminate()


# Code that runs in a worker process.

_job: Job
_tokenizer: Tokenizer
_said: "SimpleQueue[int]"


def _start(job: Job, said: "SimpleQueue[int]") -> None:
    """Initialize a worker."""
    global _job, _tokenizer, _said
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which stops its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _job, _tokenizer, _said = job, load_tokenizer(job.folder), said


def _end_with_parent() -> None:
    """End the worker when its parent is gone: its successor's workers may write the same files."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _do_piece(piece: int) -> None:
    """Write the piece's shards, then the record of them."""
    dtype = np.dtype(id_dtype(_tokenizer.n_vocab)).name
    waiting: dict[str, list[UInt[np.ndarray, " _"]]] = {split: [] for split in SPLITS}
    counts = dict.fromkeys(SPLITS, 0)
    done: dict[str, list[Shard]] = {split: [] for split in SPLITS}

    def write(split: str) -> None:
        name = f"{split}-{piece:05d}-{len(done[split]):03d}.tokens"
        done[split].append(write_shard(_job.folder / name, waiting[split], dtype))
        waiting[split], counts[split] = [], 0

    unsaid = 0
    without = LeftOutRows()
    for split, tokens in _tokens(piece, without):
        for start in range(0, len(tokens), _job.shard_tokens):
            part = tokens[start : start + _job.shard_tokens]
            if counts[split] + len(part) > _job.shard_tokens:
                write(split)
            waiting[split].append(part)
            counts[split] += len(part)
        unsaid += len(tokens)
        if unsaid > SAY_EVERY:
            _said.put(unsaid)
            unsaid = 0
    for split in SPLITS:
        if counts[split]:
            write(split)
    record: dict[str, Any] = {split: [asdict(shard) for shard in shards] for split, shards in done.items()}
    if without.kinds:
        record[LEFT_OUT] = without.kinds
    write_text(_job.record(piece), json.dumps(record) + "\n")
    _said.put(unsaid)


def _tokens(piece: int, left_out: LeftOutRows) -> Iterator[tuple[str, UInt[np.ndarray, " _"]]]:
    """Tokens of a piece's documents, each after an end-of-text token, which tells the model that a new document begins.

    Rows without a document are added to `left_out`. Raises ValueError if more rows are broken than allowed.
    """
    dtype = id_dtype(_tokenizer.n_vocab)
    try:
        end_of_text = np.array([_tokenizer.eot_token], dtype=dtype)
    except NoEndOfTextError:
        end_of_text = np.array([], dtype=dtype)
    for document in _job.source.documents(piece):
        if isinstance(document, LeftOut):
            left_out.add(document)
            left_out.require_few_broken(_job.max_bad_rows)
            continue
        tokens = _tokenizer.encode_to_numpy(document.text)
        yield document.split, np.concatenate([end_of_text, tokens]) if document.begins else tokens
