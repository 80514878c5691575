"""Every rank has all of the model; DistributedDataParallel averages the gradients while the backward pass runs."""

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import Ranks


class DDP(Strategy):
    """The blocks are compiled, and the wrapper's hooks stay out of their graphs.

    A rank may have one row, and one micro-batch, more than another: each meets the others once a step, with its last one.
    `static_graph` stays off: where the first pass is one without synchronisation, as with micro-batches, torch 2.13 stops with
    an internal assertion.
    """

    module: DistributedDataParallel

    def __init__(self, model: GPT, ranks: Ranks, dtype: torch.dtype, *, compiles: bool = False) -> None:
        super().__init__(model, ranks, dtype, compiles=compiles)
        # The only buffer is a table that every rank computes alike. torch 2.13 renamed the argument.
        known = inspect.signature(DistributedDataParallel).parameters
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        never: dict[str, Any] = {buffers: False}
        self.module = DistributedDataParallel(
            self.module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,  # no copy of the gradients beside the buckets that travel
            **never,
        )

    def _step_of(self, number: int, count: int) -> AbstractContextManager[None]:
        return nullcontext() if number == count - 1 else self.module.no_sync()
