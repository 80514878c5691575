"""Benchmark of tokenizers on adversarial texts: training and encoding, ours and others, each run in its own process.

    python benchmarks/tokenizers/adversarial.py --seconds 20

Seconds of processor time after a warm-up, and the peak of memory above what the process had before (Linux). "panic" is a
crash of the library that is not even an Exception, "-" more than the seconds allowed. Needs tokenizers and tiktoken.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from gpt_from_scratch.benchmarks.tokenizers.texts import adversarial, corpus
from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS

VOCABULARY = 32_000
RUNS = (
    "ours: train",
    "ours: encode",
    "ours in Python: train",
    "ours in Python: encode",
    "hugging face: train",
    "tiktoken",
)


@dataclass(frozen=True)
class BenchmarkConfig:
    """Settings of the benchmark."""

    seconds: int = 20
    """what a run may take, the loading of libraries included"""
    only: tuple[str, ...] = ()
    """names of the texts (all, if none are given)"""
    runs: tuple[str, ...] = RUNS
    """what to run on each"""
    out: Path = Path(__file__).parents[1] / "results" / "tokenizer_adversarial.json"


def main(config: BenchmarkConfig) -> None:
    names = config.only or tuple(adversarial(1000))
    table = Table(title=f"1 MB each; seconds (MiB); {VOCABULARY:,} ids")
    for column in ("text", *config.runs):
        table.add_column(column, justify="left" if column == "text" else "right")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "tokenizer.json")
        BytePairEncodingTokenizer.from_text(corpus(5), VOCABULARY).save(model)
        for name in names:
            row = {run: measured(run, name, model, config.seconds) for run in config.runs}
            rows.append({"text": name, **row})
            print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr, flush=True)
            ids = {one["ids"] for one in row.values() if "ids" in one}
            assert len(ids) <= 1, f"{name}: the ids differ"
            cells = [f"{one['s']:.2f} ({one['mib']:.0f})" if "s" in one else str(one["failed"]) for one in row.values()]
            table.add_row(name, *cells)
    Console(width=140).print(table)
    if not config.only:
        config.out.parent.mkdir(exist_ok=True)
        write_text(config.out, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def measured(run: str, name: str, model: Path, seconds: int) -> dict[str, float | str]:
    """The seconds, memory and ids' hash of one run in a process of its own, or how it failed."""
    command = [sys.executable, __file__, "--child", run, name, str(model)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": "-"}
    if "the text is empty" in result.stderr:  # nothing but special tokens: an error is what is right
        return {"failed": "no words"}
    if result.returncode:
        return {"failed": "panic" if "Panic" in result.stderr else f"failed: {result.stderr.strip()[-60:]}"}
    found: dict[str, float | str] = json.loads(result.stdout.splitlines()[-1])
    return found


def child(run: str, name: str, model: Path) -> None:
    """Do one run and print its figures."""
    import hashlib

    text = adversarial()[name]
    who, _, what = run.partition(": ")
    backend = "python" if who == "ours in Python" else "numba"
    tokenizer = BytePairEncodingTokenizer.load(model)
    ours = BytePairEncodingTokenizer(tokenizer.merges, backend=backend)  # type: ignore[arg-type]
    if what == "train" and who == "hugging face":
        import tokenizers

        theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
        theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=VOCABULARY, show_progress=False)
        work = lambda: theirs.train_from_iterator([text], trainer)  # noqa: E731
    elif what == "train":
        BytePairEncodingTokenizer.from_text("a b", 257, backend=backend)
        work = lambda: BytePairEncodingTokenizer.from_text(text, VOCABULARY, backend=backend, num_threads=1)  # noqa: E731
    elif who == "tiktoken":
        import tiktoken

        encoding = tiktoken.Encoding(
            "t",
            pat_str=PATTERNS["gpt2"],
            mergeable_ranks={token: rank for rank, token in enumerate(ours.symbols)},
            special_tokens={},
        )
        work = lambda: encoding.encode_ordinary(text)  # noqa: E731
    else:
        ours.encode_ordinary("a b" * 100)
        work = lambda: ours.encode_ordinary(text)  # noqa: E731
    before, start = peak_mib(), time.process_time()
    result = work()
    figures: dict[str, object] = {"s": round(time.process_time() - start, 3), "mib": round(peak_mib() - before)}
    if isinstance(result, list):
        figures["ids"] = hashlib.sha256(json.dumps(result).encode()).hexdigest()
    print(json.dumps(figures))


def peak_mib() -> float:
    """The peak of this process's memory so far."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main(tyro.cli(BenchmarkConfig, description=__doc__))
