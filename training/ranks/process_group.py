"""Ranks of a run under torchrun, and their process group. One process without torchrun is a run of one rank."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from gpt_from_scratch.evals.protocol.deadline import within
from gpt_from_scratch.support.process_groups import leave_group
from gpt_from_scratch.support.torchrun import launcher, position
from gpt_from_scratch.training.ranks.agreement import compare_in
from gpt_from_scratch.training.ranks.heartbeat import PeerLostError, Peers
from gpt_from_scratch.training.ranks.rendezvous import AbsentRanksError, meet

__all__ = ["ONE_RANK", "Ranks", "launcher", "process_group", "ranks_from_environment"]

LONGEST_WAIT = 10 * 365 * 86_400.0
"""Seconds that stand for "no limit": larger values overflow the nanosecond clocks of gloo and nccl."""


@dataclass(frozen=True)
class Ranks:
    """This process's rank among the processes of the run."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    hosts: int = field(default=1, kw_only=True)

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which prints and writes."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """Sums over all ranks in fp64, equal on every rank."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def agree(self, value: Any) -> Any:
        """Broadcast rank 0's value, a JSON-like object."""
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
        """Gather every rank's value, a JSON-like object, on every rank."""
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
    """The rank of this process, from torchrun's environment variables.

    Raises:
        ValueError: the environment variables are invalid.
    """
    found = position()
    return Ranks(found.rank, found.size, found.local_rank, hosts=found.hosts)


def _shared_store(ranks: Ranks, patience_s: float) -> Store:
    """The store for the rendezvous; it is on rank 0's host.

    It is made in a thread, since torch waits in C++, where Python handles no signal before `patience_s` is over.
    """
    try:
        store: Store = within(
            None, "rendezvous", lambda: next(iter(rendezvous("env://", timeout=timedelta(seconds=patience_s))))[0]
        )
        return store
    except dist.DistError as error:
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise AbsentRanksError(
            f"rank {ranks.rank} of {ranks.size} did not reach the others at {place} (MASTER_ADDR, MASTER_PORT): "
            f"{str(error).splitlines()[0]}\nSee their output, and whether their hosts can reach rank 0's; --run.patience "
            "sets the timeout"
        ) from error


@contextmanager
def process_group(
    ranks: Ranks,
    device: torch.device,
    timeout_s: float = 100.0,
    patience_s: float = 1800.0,
    about: Mapping[str, Any] | None = None,
) -> Iterator[Peers]:
    """Context with the process group of the ranks: nccl on CUDA (and gloo for sums on the host), else gloo.

    The store is not `init_process_group`'s own: see `meet`.

    Args:
        about: the description that must be equal on all ranks; compared before the first collective.

    Raises:
        AbsentRanksError: not all ranks started. PeerLostError: a rank was lost while the block ran.
        RanksDifferError: the ranks' descriptions differ.
    """
    if ranks.size == 1:
        yield Peers()
        return
    timeout_s, patience_s = min(timeout_s, LONGEST_WAIT), min(patience_s, LONGEST_WAIT)
    store = meet(_shared_store(ranks, patience_s), ranks.rank, ranks.size, patience_s)
    compare_in(store, ranks.rank, ranks.size, about or {}, patience_s)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=ranks.rank, world_size=ranks.size, timeout=timedelta(seconds=patience_s)
    )
    peers = Peers(ranks.rank, ranks.size, timeout_s, patience_s)
    own = store.clone()  # type: ignore[attr-defined]  # a separate connection, which no other call blocks
    try:
        with peers.watching(PrefixStore("peers", own)):
            yield peers
    except PeerLostError:  # nccl might wait for ranks that are gone
        raise
    except Exception:  # this rank's own error: the process must end with its status, and not by gloo's threads
        if backend == "gloo":
            leave_group()
        raise
    leave_group()
