"""The ranks of a run under torchrun, and what they do together. One process, without torchrun, is a run of one rank."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from gpt_from_scratch.evals.lm.ranks import leave_group
from gpt_from_scratch.training.meeting import meet
from gpt_from_scratch.training.peers import Peers


@dataclass(frozen=True)
class Ranks:
    """Who this process is among the processes of the run."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    hosts: int = field(default=1, kw_only=True)

    @property
    def is_first(self) -> bool:
        """Rank 0 prints and writes."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """The sums over all ranks, in fp64: the same on every rank."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def agree(self, value: Any) -> Any:
        """Rank 0's value, a JSON-like object, on every rank."""
        if self.size == 1:
            return value
        text = json.dumps(value).encode() if self.is_first else b""
        length = int(self.sum(len(text))[0])
        data = torch.zeros(length, dtype=torch.uint8)
        if self.is_first:
            data.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        dist.broadcast(data, src=0)
        return json.loads(data.numpy().tobytes())

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, JSON-like objects, on every rank."""
        if self.size == 1:
            return [value]
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        longest = torch.tensor(len(data))
        dist.all_reduce(longest, op=dist.ReduceOp.MAX)
        padded = torch.nn.functional.pad(data, (0, int(longest) - len(data)), value=ord(" "))
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return [json.loads(part.numpy().tobytes()) for part in parts]

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.sum(0.0)


ONE_RANK = Ranks()


def ranks_from_environment() -> Ranks:
    """Who torchrun says this process is."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_WORLD_SIZE")
    rank, size, local, hosts = (int(os.environ.get(name) or 0) for name in names)
    return Ranks(rank, size or 1, local, hosts=hosts or 1)


@contextmanager
def process_group(
    ranks: Ranks, device: torch.device, timeout_s: float = 100.0, patience_s: float = 1800.0
) -> Iterator[Peers]:
    """The group that the ranks work in while the block runs: nccl on CUDA (gloo beside it for the host's sums), else gloo.

    Its store is ours, not `init_process_group`'s own: see `meet`.

    Raises:
        AbsentRanksError: not all ranks began; PeerLostError: one was lost while the block ran.
    """
    if ranks.size == 1:
        yield Peers()
        return
    shared, _, _ = next(iter(rendezvous("env://", timeout=timedelta(seconds=patience_s))))
    store = meet(shared, ranks.rank, ranks.size, patience_s)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=ranks.rank, world_size=ranks.size, timeout=timedelta(seconds=patience_s)
    )
    peers = Peers(ranks.rank, ranks.size, timeout_s, patience_s)
    own = store.clone()  # type: ignore[attr-defined]  # a connection that no other call blocks
    with peers.watching(PrefixStore("peers", own)):
        yield peers
    leave_group()  # not after an error: nccl might wait for those that are gone


def launcher() -> str | None:
    """The torchrun that started this process: "host:process:start", the same for all restarts; None without torchrun."""
    job = os.environ.get("TORCHELASTIC_RUN_ID")
    if job is None:
        return None
    agent = os.getppid()
    stat = Path(f"/proc/{agent}/stat")  # Linux; elsewhere the job's id, which torchrun draws, tells one from another
    started = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[19] if stat.exists() else job
    return f"{socket.gethostname()}:{agent}:{started}"
