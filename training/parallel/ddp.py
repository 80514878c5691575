"""The DDP strategy: every rank has the whole model, and gradients are averaged during the backward pass."""

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import Ranks


class DDP(Strategy):
    """Strategy by torch's DistributedDataParallel.

    The blocks are compiled, without the wrapper's hooks. A rank may have one row or one micro-batch more than another,
    since ranks synchronize only once per step, in the last micro-batch. `static_graph` stays off: with gradient
    accumulation, whose first pass does not synchronize, torch 2.13 fails an internal assertion.
    """

    module: DistributedDataParallel

    def __init__(self, model: GPT, ranks: Ranks, dtype: torch.dtype, *, compiles: bool = False) -> None:
        super().__init__(model, ranks, dtype, compiles=compiles)
        # The only buffer is a table that is equal on every rank. torch 2.13 renamed the argument.
        known = inspect.signature(DistributedDataParallel).parameters
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        never: dict[str, Any] = {buffers: False}
        self.module = DistributedDataParallel(
            self.module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,  # gradients are views of the communication buckets, without a copy
            **never,
        )

    def _step_of(self, number: int, count: int) -> AbstractContextManager[None]:
        return nullcontext() if number == count - 1 else self.module.no_sync()
