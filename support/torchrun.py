"""torchrun's environment variables, and the files for results of its processes."""

import contextlib
import hashlib
import json
import os
import re
import socket
import time
from pathlib import Path
from typing import NamedTuple

SET_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SAVED_RANKS = "GPT_SAVED_RANKS"
"""Set by `gpt train --nproc`, where torch's launcher is quiet: the folder where each rank that ended well leaves a file."""
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
"""File for the reason of a process's failure: LOGS/ATTEMPT/LOCAL_RANK/error.json; torchrun makes LOGS for itself alone."""


class Position(NamedTuple):
    """The position of this process in the run: its rank and number of processes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those of its host."""
    hosts: int = 1


def position() -> Position:
    """Read the position from torchrun's variables; without torchrun there is a single process.

    Raises:
        ValueError: variables are not numbers, do not match, or are missing.
    """
    rank, size = _number("RANK"), _number("WORLD_SIZE", least=1)
    local, hosts = _number("LOCAL_RANK"), _number("GROUP_WORLD_SIZE", least=1)
    if rank is not None and size is None:
        raise _mistake(f"RANK is {rank}, and WORLD_SIZE is not set")
    size = size or 1
    if size > 1 and rank is None:
        raise _mistake(f"WORLD_SIZE is {size}, and RANK is not set")
    for name, value in (("RANK", rank), ("LOCAL_RANK", local)):
        if value is not None and value >= size:
            raise _mistake(f"{name} is {value}, and WORLD_SIZE {size}: the ranks are 0 to {size - 1}")
    if hosts is not None and hosts > size:
        raise _mistake(f"GROUP_WORLD_SIZE is {hosts}, and WORLD_SIZE {size}: more hosts than processes")
    if size > 1:
        if not os.environ.get("MASTER_ADDR"):
            raise _mistake(f"WORLD_SIZE is {size}, and MASTER_ADDR, the host of rank 0, is not set")
        if not 1 <= (_number("MASTER_PORT") or 0) < 1 << 16:
            raise _mistake(f"MASTER_PORT is {os.environ.get('MASTER_PORT', '')!r}, which is no port of rank 0's host")
    return Position(rank or 0, size, local or 0, hosts or 1)


def _number(name: str, least: int = 0) -> int | None:
    text = os.environ.get(name, "")
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text) is None or int(text) < least:
        raise _mistake(f"{name} is {text[:100]!r}, which is no whole number from {least} on")
    return int(text)


def _mistake(what: str) -> ValueError:
    return ValueError(
        f"the environment says that this is one of several processes, but {what}.\n"
        f"Start them with torchrun, which sets all of these; for a single process: env -u {' -u '.join(SET_BY_TORCHRUN)} ..."
    )


def launcher() -> str | None:
    """The torchrun that started this process, the same for all restarts, whatever stands between; None without torchrun.

    Its name is that of the folder that torchrun makes for its processes' errors: a new one each time, on this host. Where it
    makes none (`--log-dir /dev/null`) it is the nearest process above this one that torchrun did not start.
    """
    job = os.environ.get("TORCHELASTIC_RUN_ID")
    if job is None:
        return None
    folder = _attempt()
    return f"{socket.gethostname()}:{_agent(job) if folder is None else folder.parent}"


def _agent(job: str) -> str:
    """ "process:start" of the torchrun above this process, on Linux; elsewhere the job's id, which torchrun draws."""
    mark = f"TORCHELASTIC_RUN_ID={job}".encode()
    process = os.getppid()
    try:
        while True:
            parent, started = _parent_and_start(process)
            if parent == 0 or mark not in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
                return f"{process}:{started}"
            process = parent
    except OSError:
        return job


def _parent_and_start(process: int) -> tuple[int, str]:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[1]), fields[19]


def first_to_say(message: str) -> bool:
    """Whether no process of this attempt on this host has said these words yet: a mistake of all is told once."""
    if (folder := _attempt()) is None:
        return True
    said = folder / f"said-{hashlib.sha256(message.encode('utf-8', 'replace')).hexdigest()[:16]}"
    try:
        os.close(os.open(said, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    except OSError:  # then twice is better than never
        return True
    return True


def report_failure(message: str) -> None:
    """Tell torchrun why this process ends: its summary then says so, instead of how a traceback could be had."""
    if _attempt() is not None:
        said = {"message": message, "extraInfo": {"timestamp": str(int(time.time()))}}
        with contextlib.suppress(OSError):  # it is a courtesy
            Path(os.environ[ERROR_FILE]).write_text(json.dumps({"message": said}), encoding="utf-8")


def _attempt() -> Path | None:
    """The folder in which torchrun keeps what the processes of this attempt on this host say."""
    file = os.environ.get(ERROR_FILE)
    folder = Path(file).parent.parent if file and "TORCHELASTIC_RUN_ID" in os.environ else None
    return folder if folder is not None and folder.is_dir() else None
