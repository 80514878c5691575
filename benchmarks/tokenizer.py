"""Benchmark of tokenizers: ours, Hugging Face's, rustbpe and tiktoken, on the same texts, interleaved in one process.

    python benchmarks/tokenizer.py --megabytes 1 10 --rounds 5                # one thread
    python benchmarks/tokenizer.py --megabytes 100 --rounds 2 --threads 2

Needs `pip install tokenizers rustbpe tiktoken`. 1 MB is Tiny Shakespeare where it is at hand. Every result is checked
first: merges equal rustbpe's and Hugging Face's, ids equal tiktoken's. With one thread the figures are processor time,
which other work on the machine disturbs least; with more, wall time. A ratio is the median over the rounds.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from gpt_from_scratch.benchmarks.tokenizers.texts import SEPARATOR, SHAKESPEARE, corpus
from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.tokenizer.bpe.printable import to_printable
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.numba_kernels import loading as acceleration
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS


@dataclass(frozen=True)
class BenchmarkConfig:
    """Settings of the benchmark."""

    megabytes: tuple[int, ...] = (1, 10)
    """sizes of the texts"""
    vocab_size: int = 32_000
    """ids to learn (2,048 of 1 MB)"""
    threads: int = 1
    """threads that every library may use"""
    rounds: int = 5
    """how often each is run, in turn"""
    peers: tuple[str, ...] = ("hugging face", "rustbpe", "tiktoken")
    """the other libraries to run"""
    out: Path = Path(__file__).parent / "results" / "tokenizer.json"


Timed = dict[str, list[float]]


def main(config: BenchmarkConfig) -> None:
    os.environ["RAYON_NUM_THREADS"] = str(config.threads)  # before the peers' libraries are loaded
    acceleration.load()
    rows: list[dict[str, Any]] = []
    for megabytes in config.megabytes:
        text = SHAKESPEARE.read_text("utf-8") if megabytes == 1 and SHAKESPEARE.exists() else corpus(megabytes)
        vocab_size = min(config.vocab_size, 2048) if megabytes == 1 else config.vocab_size
        tokenizer = train(config, text, vocab_size, rows)
        encode(config, tokenizer, text, rows)
        shards(config, tokenizer, text, rows)
    if config.threads == 1:
        whole_process(config, rows)
    report(config, rows)


def train(config: BenchmarkConfig, text: str, vocab_size: int, rows: list[dict[str, Any]]) -> BytePairEncodingTokenizer:
    """Time training; the merges must be equal."""
    documents = text.split(SEPARATOR)

    def ours(backend: Any, byte_order: str = "raw") -> BytePairEncodingTokenizer:
        return BytePairEncodingTokenizer.from_text(
            text, vocab_size + 1, backend=backend, byte_order=byte_order, num_threads=config.threads
        )

    runs: dict[str, Callable[[], Any]] = {"ours": lambda: ours("numba"), "ours in Python": lambda: ours("python")}
    if "rustbpe" in config.peers:
        import rustbpe

        def rust() -> Any:
            tokenizer = rustbpe.Tokenizer()
            tokenizer.train_from_iterator(iter(documents), vocab_size, pattern=PATTERNS["gpt2"])
            return tokenizer

        runs["rustbpe"] = rust
    if "hugging face" in config.peers:
        import tokenizers

        def hugging_face() -> Any:
            tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
            tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
            trainer = tokenizers.trainers.BpeTrainer(
                vocab_size=vocab_size,
                show_progress=False,
                initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            )
            tokenizer.train_from_iterator(documents, trainer)
            return tokenizer

        runs["hugging face"] = hugging_face
    times, results = in_turn(runs, config)
    merges = results["ours"].merges
    assert results["ours in Python"].merges == merges
    if "rustbpe" in runs:
        ranks = {bytes(token): rank for token, rank in results["rustbpe"].get_mergeable_ranks()}
        assert ranks == {token: rank for rank, token in enumerate(results["ours"].symbols)}, "not rustbpe's merges"
    if "hugging face" in runs:
        like_theirs = ours("numba", "gpt2")
        found = json.loads(results["hugging face"].to_str())["model"]["merges"]
        printable = [to_printable(token) for token in like_theirs.symbols]
        assert [tuple(pair) for pair in found] == [(printable[a], printable[b]) for a, b in like_theirs.merges]
    add(rows, config, "train", text, times, f"{vocab_size:,} ids")
    return results["ours"]


def encode(
    config: BenchmarkConfig, tokenizer: BytePairEncodingTokenizer, text: str, rows: list[dict[str, Any]]
) -> None:
    """Time encoding the whole text, to an array and to a list; the ids must be equal. tiktoken has one thread a call."""
    if config.threads > 1 or "tiktoken" not in config.peers:
        return
    text = text[:20_000_000]
    theirs = tokenizer.to_tiktoken()
    twin = BytePairEncodingTokenizer(tokenizer.merges, backend="python")

    def cold() -> Any:
        fresh = BytePairEncodingTokenizer(tokenizer.merges, backend="numba")
        return fresh.encode_to_numpy(text)

    fast = BytePairEncodingTokenizer(tokenizer.merges, backend="numba")
    runs: dict[str, Callable[[], Any]] = {
        "ours to an array": lambda: fast.encode_to_numpy(text),
        "ours to a list": lambda: fast.encode_ordinary(text),
        "ours, made and run": cold,
        "ours in Python": lambda: twin.encode_ordinary(text),
        "tiktoken": lambda: theirs.encode_ordinary(text),
    }
    times, results = in_turn(runs, config)
    expected = np.array(results["tiktoken"])
    for ids in results.values():
        assert np.array_equal(ids, expected), "not tiktoken's ids"
    add(rows, config, "encode", text, times, f"{tokenizer.n_vocab:,} ids, warm but for 'made and run'")


def shards(
    config: BenchmarkConfig, tokenizer: BytePairEncodingTokenizer, text: str, rows: list[dict[str, Any]]
) -> None:
    """Time a file into shards of uint16, special tokens included."""
    fast = BytePairEncodingTokenizer(tokenizer.merges, backend="numba")
    theirs = fast.to_tiktoken()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corpus.txt")
        path.write_text(text, encoding="utf-8", newline="")

        def ours() -> Any:
            return np.load(
                fast.encode_file(path, folder, num_threads=config.threads, allowed_special="all")[0], mmap_mode="r"
            )

        def tiktoken() -> Any:
            documents = path.read_bytes().decode("utf-8").split(SEPARATOR)
            lists = theirs.encode_ordinary_batch(documents, num_threads=config.threads)
            ids = np.concatenate([np.array([*one, theirs.eot_token], dtype=np.uint16) for one in lists])
            np.save(Path(folder, "theirs.npy"), ids)
            return ids

        runs: dict[str, Callable[[], Any]] = {"ours": ours}
        if "tiktoken" in config.peers:
            runs["tiktoken"] = tiktoken
        times, results = in_turn(runs, config)
        if "tiktoken" in runs:
            assert np.array_equal(results["ours"], results["tiktoken"][:-1]), "not tiktoken's ids"
    add(rows, config, "file to shards", text, times, "uint16")


def whole_process(config: BenchmarkConfig, rows: list[dict[str, Any]]) -> None:
    """Time whole processes that train on the first text, imports and all; and the peak of their memory."""
    megabytes = max(config.megabytes)
    text = SHAKESPEARE.read_text("utf-8") if megabytes == 1 and SHAKESPEARE.exists() else corpus(megabytes)
    vocab_size = 2048 if megabytes == 1 else config.vocab_size
    # Not ru_maxrss, which a child inherits from its parent.
    end = "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    scripts = {
        "ours": "from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer as T\n"
        f"T.from_files([path], {vocab_size + 1}, num_threads=1)\n{end}",
        "hugging face": "import tokenizers as t\nk = t.Tokenizer(t.models.BPE())\n"
        "k.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)\n"
        f"r = t.trainers.BpeTrainer(vocab_size={vocab_size}, show_progress=False,"
        " initial_alphabet=t.pre_tokenizers.ByteLevel.alphabet())\n"
        f"k.train_from_iterator(open(path, encoding='utf-8').read().split('{SEPARATOR}'), r)\n{end}",
        "rustbpe": "import rustbpe\nk = rustbpe.Tokenizer()\n"
        f"k.train_from_iterator(iter(open(path, encoding='utf-8').read().split('{SEPARATOR}')), {vocab_size},"
        f" pattern={PATTERNS['gpt2']!r})\n{end}",
    }
    scripts = {name: script for name, script in scripts.items() if name == "ours" or name in config.peers}
    times: Timed = {name: [] for name in scripts}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corpus.txt")
        path.write_text(text, encoding="utf-8", newline="")
        for _ in range(min(config.rounds, 3)):
            for name, script in scripts.items():
                before = os.times()
                result = subprocess.run(
                    [sys.executable, "-c", f"path = {str(path)!r}\n{script}"],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                after = os.times()
                times[name].append(
                    after.children_user + after.children_system - before.children_user - before.children_system
                )
                memory[name] = int(result.stdout) / 1024
    add(rows, config, "train, whole process", text, times, f"{vocab_size:,} ids")
    rows[-1]["peak_mib"] = memory


def in_turn(runs: dict[str, Callable[[], Any]], config: BenchmarkConfig) -> tuple[Timed, dict[str, Any]]:
    """Run each once to warm up where that is cheap, then all of them in turn; the times and the last results."""
    clock = time.process_time if config.threads == 1 else time.perf_counter
    times: Timed = {name: [] for name in runs}
    results: dict[str, Any] = {}
    for name, run in runs.items():
        if name.startswith("ours") and "Python" not in name:
            run()
    for _ in range(config.rounds):
        for name, run in runs.items():
            start = clock()
            results[name] = run()
            times[name].append(clock() - start)
    return times, results


def add(rows: list[dict[str, Any]], config: BenchmarkConfig, what: str, text: str, times: Timed, note: str) -> None:
    megabytes = len(text.encode("utf-8")) / 1e6
    base = next(iter(times))
    for name, seconds in times.items():
        ratios = [other / own for own, other in zip(times[base], seconds, strict=True)]
        rows.append(
            {
                "what": what,
                "megabytes": round(megabytes, 1),
                "threads": config.threads,
                "who": name,
                "seconds": [round(one, 4) for one in seconds],
                "best_s": round(min(seconds), 4),
                "mb_per_s": round(megabytes / min(seconds), 1),
                "times_ours": round(statistics.median(ratios), 2),
                "note": note,
            }
        )
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)


def report(config: BenchmarkConfig, rows: list[dict[str, Any]]) -> None:
    clock = "processor time" if config.threads == 1 else "wall time"
    table = Table(title=f"Best of {config.rounds} rounds, {clock}, {config.threads} thread(s)")
    for column in ("what", "MB", "who", "s", "MB/s", "time / ours (median)", ""):
        table.add_column(column, justify="left" if column in ("what", "who", "") else "right")
    for row in rows:
        figures = (f"{row['best_s']:.3f}", f"{row['mb_per_s']:.1f}", f"{row['times_ours']:.1f}")
        table.add_row(row["what"], f"{row['megabytes']:g}", row["who"], *figures, row["note"])
    Console(width=120).print(table)
    for row in rows:
        if "peak_mib" in row:
            print("peak memory of the process, MiB:", {name: round(value) for name, value in row["peak_mib"].items()})
    machine = {"machine": platform.machine(), "processors": os.cpu_count(), "python": platform.python_version()}
    versions = {name: version(name) for name in ("numba", "tokenizers", "rustbpe", "tiktoken", "regex", "numpy")}
    path = config.out.with_stem(f"{config.out.stem}_{config.threads}_{'_'.join(map(str, config.megabytes))}")
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(machine | {"versions": versions, "clock": clock, "rows": rows}, indent=1) + "\n")
    print(f"written to {path}")


def version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main(tyro.cli(BenchmarkConfig, description=__doc__))
