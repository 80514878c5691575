"""`gpt train`: training in this process, or in several ranks that torch's launcher starts and supervises.

gpt train                                   # one process
gpt train --nproc 8 --max-restarts 3 ...    # eight ranks, restarted if one fails
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("train_gpt2", "gpt_from_scratch.training.launch:rank")


import importlib.util
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from gpt_from_scratch.support.command_line.arguments import HELP_FLAGS, ArgumentParser
from gpt_from_scratch.support.command_line.command import MISTAKE, complain, imported
from gpt_from_scratch.support.torchrun import SAVED_RANKS
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.presets import DEFAULT, FOR_A_CPU

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
"""Signals that torchrun forwards to the ranks."""
NPROC, RESTARTS = "--nproc", "--max-restarts"
BENCH = """Benchmark the kernels and the tokenizers on this machine with pytest-benchmark, in a clone.

    gpt bench                        # all of benchmarks/
    gpt bench -k attention           # only benchmarks with this in their names

Its options are pytest's and pytest-benchmark's, such as --benchmark-json FILE."""
PYTEST_USAGE = 4
"""pytest's exit status for a usage error."""
LAUNCHER = "GPT_LAUNCHER"
"""Environment variable with the process number of the launcher."""


def main(words: Sequence[str]) -> int:
    """Run `gpt train` with these arguments; returns the exit status of training/train_gpt2.py."""
    rest = with_backend(words)
    ranks, restarts = _taken(rest, NPROC, least=1), _taken(rest, RESTARTS, least=0)
    if restarts is not None and ranks is None:
        raise ValueError(f"{RESTARTS} needs {NPROC}: a single process cannot be restarted")
    parse(rest)  # help and usage errors need neither torch nor other processes
    if ranks is None:
        status: int = imported("gpt train", "gpt_from_scratch.training.train_gpt2:process")(rest)
        return status
    return launch(ranks, restarts or 0, rest)


def with_backend(words: Sequence[str]) -> list[str]:
    """Add `--backend fastest` to the arguments of a new run of a CPU preset, unless they name a backend."""
    preset = words[0] if words and not words[0].startswith("-") else DEFAULT
    decided = any(word.partition("=")[0] in ("--backend", "--resume", "--config") for word in words)
    if preset not in FOR_A_CPU or decided or os.environ.get("GPT_BACKEND"):
        return list(words)
    return [*words, "--backend", "fastest"]


def launch(ranks: int, restarts: int, words: Sequence[str]) -> int:
    """Start `ranks` processes of training/train_gpt2.py; returns the status of the first that failed, else 0."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # the log lines of torch's launcher would hide our messages
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=restarts,
        signals_to_handle=",".join(name for name in SIGNALS if not _is_ignored(name)),
    )
    with tempfile.TemporaryDirectory(prefix="gpt-ranks-", ignore_cleanup_errors=True) as folder:
        os.environ[SAVED_RANKS], os.environ[LAUNCHER] = folder, str(os.getpid())
        try:
            elastic_launch(config, sys.executable)("-m", "gpt_from_scratch.training.launch", *words)
        except ChildFailedError as error:
            first = error.get_first_failure()[1]
            if first.exitcode < 0:
                complain(f"error: rank {error.get_first_failure()[0]} was killed by signal {-first.exitcode}")
                return 128 - first.exitcode
            return first.exitcode  # the rank itself has printed the error
        except SignalException as told:
            # Every rank got the signal, too; each saves and reports it, unless it has nothing to save.
            if (saved := len(list(Path(folder).iterdir()))) == ranks:
                return 0
            if saved or told.sigval != signal.SIGINT:  # else the first rank has told whoever pressed Ctrl-C
                complain(f"gpt train: stopped by {told.sigval.name}; {saved} of {ranks} ranks saved their state")
            return 128 + told.sigval
    return 0


def rank(words: list[str]) -> int:
    """Entry point of a process that `launch` starts. It writes a file on success, since torch does not report it."""
    from gpt_from_scratch.training.train_gpt2 import process

    threading.Thread(target=_end_with_launcher, name="launcher", daemon=True).start()
    status = process(words)
    if status == 0:
        Path(os.environ[SAVED_RANKS], os.environ["RANK"]).touch()
    return status


def _end_with_launcher() -> None:
    """Send this rank SIGTERM once its launcher is gone: it then saves what it has, and ends.

    torch's launcher forgets the ranks that it is starting if a signal arrives at that moment (torch 2.13), and cannot end
    them if it is killed itself.
    """
    while os.getppid() == int(os.environ[LAUNCHER]):
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_ignored(name: str) -> bool:
    """Whether this process inherited an ignored signal, as SIGHUP under `nohup`: the ranks then ignore it, too."""
    return signal.getsignal(getattr(signal, name)) is signal.SIG_IGN


def bench(words: Sequence[str]) -> int:
    """`gpt bench`: pytest-benchmark on benchmarks/, in a clone."""
    from gpt_from_scratch.support.command_line.invocation import ROOT, how_to_install

    if HELP_FLAGS & set(words):
        ArgumentParser(prog="gpt bench [what pytest takes]", description=BENCH).parse_args(["--help"])
    missing = [name for name in ("pytest", "pytest_benchmark") if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"gpt bench needs {missing[0]}: {how_to_install('test', 'bench')}")
    if not (folder := ROOT / "benchmarks").is_dir():
        raise RuntimeError(
            "gpt bench needs a clone of the repository, and this is an installed package: clone it first"
        )
    options = ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(folder), "--benchmark-only"]
    # In a separate process: pytest must enable the shape checks before the package is imported.
    status = subprocess.call([sys.executable, "-m", "pytest", *options, *words])
    return MISTAKE if status == PYTEST_USAGE else status


def _taken(words: list[str], option: str, least: int) -> int | None:
    """Remove an option from the arguments and return its integer value; None if it is absent."""
    for place, word in enumerate(words):
        if word == option or word.startswith(f"{option}="):
            value = word.partition("=")[2] if "=" in word else words[place + 1] if place + 1 < len(words) else ""
            if not value.isdecimal() or int(value) < least:
                raise ValueError(f"{option} is {value!r}: expected a whole number, {least} or more")
            del words[place : place + (1 if "=" in word else 2)]
            return int(value)
    return None
