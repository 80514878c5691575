"""The ranks of a run under torchrun, and what they do together. One process, without torchrun, is a run of one rank."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """Who this process is among the processes of the run."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

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

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.sum(0.0)


ONE_RANK = Ranks()


def ranks_from_environment() -> Ranks:
    """Who torchrun says this process is."""
    rank, size, local = (int(os.environ.get(name) or 0) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return Ranks(rank, size or 1, local)


@contextmanager
def process_group(ranks: Ranks, device: torch.device, timeout_s: float = 600.0) -> Iterator[None]:
    """The group that DDP works in while the block runs: nccl on CUDA (gloo beside it for the host's sums), else gloo."""
    if ranks.size == 1:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout_s))
    try:
        yield
    finally:
        dist.destroy_process_group()
