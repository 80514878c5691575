"""Benchmark of the data loader: opening the data, finding a step's samples anywhere in a run, and reading them.

    python -m gpt_from_scratch.benchmarks.cpu.token_loading [--tokens 200e6] [--shards 20]

The shards are written for the measurement and lie in the page cache afterwards: this measures the loader, not the disk.
A figure is the median of 7 rounds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.sampler import sample_ids
from gpt_from_scratch.training.data.shards import Index, write_index, write_shard

BATCH, BLOCK = 512, 1024  # GPT-2's half a million tokens a step


def median_of(work: Callable[[int], object], rounds: int = 7) -> float:
    """Seconds."""
    seconds = []
    for number in range(rounds):
        start = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=float, default=200e6)
    parser.add_argument("--shards", type=int, default=20)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    tokenizer = CharacterTokenizer.from_text("".join(map(chr, range(32, 127))))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokenizer.save(folder / TOKENIZER_FILE)
        lengths = [int(given.tokens / given.shards) - 1000 * index for index in range(given.shards)]  # ragged
        shards = [
            write_shard(folder / f"train-{index}.tokens", [rng.integers(0, tokenizer.n_vocab, length)], "uint16")
            for index, length in enumerate(lengths)
        ]
        write_index(Index(folder, "uint16", tokenizer.n_vocab, tokenizer.fingerprint, {}, {"train": shards}))
        opened = median_of(lambda _: TokenData.from_index(folder, BLOCK, tokenizer=tokenizer))
        data = TokenData.from_index(folder, BLOCK, tokenizer=tokenizer)
        late = 10**9
        ids = median_of(lambda number: sample_ids(0, late + number, BATCH, data.n_samples))

        def resume(number: int) -> None:
            resumed = TokenData.from_index(folder, BLOCK, tokenizer=tokenizer)
            resumed.batch(sample_ids(0, late + number, 8, resumed.n_samples))

        resumed = median_of(resume)
        read = median_of(lambda number: data.batch(sample_ids(0, number, BATCH, data.n_samples)))
    print(f"{sum(lengths):,} tokens in {given.shards} ragged shards, windows of {BLOCK}, one thread")
    print(f"{'open the data':44}{1e3 * opened:10.2f} ms")
    print(f"{f'the ids of {BATCH} samples of step {late:.0e}':44}{1e3 * ids:10.2f} ms")
    print(f"{'resume there: open, ids, first 8 samples':44}{1e3 * resumed:10.2f} ms")
    print(f"{f'ids and rows of {BATCH} samples':44}{1e3 * read:10.2f} ms{BATCH * BLOCK / read / 1e6:10.0f} M tokens/s")


if __name__ == "__main__":
    main()
