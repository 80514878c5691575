"""The ranks of a run under torchrun, and what they do together. One process, without torchrun, is a run of one rank."""

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
"""Seconds that stand for ever: beyond some centuries the clocks of gloo and nccl, in nanoseconds, begin again."""


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
    """Who torchrun says this process is.

    Raises:
        ValueError: what the environment says cannot be.
    """
    found = position()
    return Ranks(found.rank, found.size, found.local_rank, hosts=found.hosts)


def _shared_store(ranks: Ranks, patience_s: float) -> Store:
    """The store through which the ranks find each other; rank 0's host keeps it.

    In a thread of its own: torch waits in C++, where no signal would reach Python before `patience_s` is over.
    """
    try:
        store: Store = within(
            None, "rendezvous", lambda: next(iter(rendezvous("env://", timeout=timedelta(seconds=patience_s))))[0]
        )
        return store
    except dist.DistError as error:
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise AbsentRanksError(
            f"rank {ranks.rank} of {ranks.size} did not find the others at {place} (MASTER_ADDR, MASTER_PORT): "
            f"{str(error).splitlines()[0]}\nSee what they say, and whether their hosts reach rank 0's; --run.patience sets "
            f"how long to wait"
        ) from error


@contextmanager
def process_group(
    ranks: Ranks,
    device: torch.device,
    timeout_s: float = 100.0,
    patience_s: float = 1800.0,
    about: Mapping[str, Any] | None = None,
) -> Iterator[Peers]:
    """The group that the ranks work in while the block runs: nccl on CUDA (gloo beside it for the host's sums), else gloo.

    Its store is ours, not `init_process_group`'s own: see `meet`.

    Args:
        about: what must be the same on all ranks: compared before anything that could hang where it is not.

    Raises:
        AbsentRanksError: not all ranks began; PeerLostError: one was lost while the block ran.
        RanksDifferError: what they begin with is not the same.
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
    own = store.clone()  # type: ignore[attr-defined]  # a connection that no other call blocks
    try:
        with peers.watching(PrefixStore("peers", own)):
            yield peers
    except PeerLostError:  # nccl might wait for those that are gone
        raise
    except Exception:  # of this rank's own: its process must end with its own status, and not by gloo's threads
        if backend == "gloo":
            leave_group()
        raise
    leave_group()
