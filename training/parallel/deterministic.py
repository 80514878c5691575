"""Parameters that are equal to the last bit for any number of ranks: the gradients are added in one fixed order.

The global batch is cut into micro-batches whose size does not depend on the ranks. Their gradients are the leaves of a
binary tree, each node the sum of its two children. A rank has neighbouring leaves, a power of two of them, hence a whole
subtree. The rest of the tree is recursive doubling (Thakur, Rabenseifner and Gropp 2005): in round k, ranks whose numbers
differ in bit k exchange their sums, and both compute left + right, which is right + left to the last bit too.

It needs log2(leaves of a rank) + 1 copies of the gradients, and one more for what is received; it sends log2(ranks) copies a
step, where a ring sends about two, and hides none of it behind the backward pass. For finding out whether a difference
between two runs is a defect or rounding.
"""

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.parallel.single import Batch, Strategy
from gpt_from_scratch.training.ranks.process_group import Ranks


class Deterministic(Strategy):
    """The gradients, and behind them the loss, lie in one flat buffer, so that all are added alike."""

    def __init__(self, model: GPT, ranks: Ranks, dtype: torch.dtype, *, compiles: bool = False) -> None:
        """Sets this process's threads (on a CPU) or algorithms (on a GPU) so that its arithmetic is the same each time."""
        super().__init__(model, ranks, dtype, compiles=compiles)
        if self.device.type == "cpu":
            # Sums over several threads round otherwise, and torchrun gives a rank fewer where there are more ranks.
            torch.set_num_threads(1)
        else:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.sizes = [p.numel() for p in self.parameters]
        self.free: list[Float[Tensor, " n"]] = []

    def accumulate(self, batches: Sequence[Batch], n_targets: float, seeds: Sequence[int] = ()) -> Float[Tensor, ""]:
        """As `Strategy.accumulate`; rank 0's part of the loss is all of it."""
        subtrees: list[tuple[int, Float[Tensor, " n"]]] = []  # (height, sum), ever lower from left to right
        for number, (tokens, targets) in enumerate(batches):
            if seeds:
                torch.manual_seed(seeds[number])
            height, total = 0, self._leaf(tokens, targets, n_targets)
            while subtrees and subtrees[-1][0] == height:
                left = subtrees.pop()[1]
                left += total
                self.free.append(total)
                height, total = height + 1, left
            subtrees.append((height, total))
        ((_, total),) = subtrees
        if self.ranks.size > 1:
            received = self._buffer()
            sum_over_ranks(total, received, self.ranks)
            self.free.append(received)
        self._point_gradients_at(total)
        self.free.append(total)  # to be used again in the next step, when these gradients are done with
        return total[-1].clone() if self.ranks.is_first else torch.zeros((), device=self.device)

    def _leaf(self, tokens: Int[Tensor, "b t"], targets: Int[Tensor, "b t"], n_targets: float) -> Float[Tensor, " n"]:
        """One micro-batch's gradients and loss."""
        buffer = self._buffer().zero_()
        self._point_gradients_at(buffer)
        nats = self._nats(tokens, targets)
        (nats / n_targets).backward()
        buffer[-1] = nats.detach()
        return buffer

    def _buffer(self) -> Float[Tensor, " n"]:
        return self.free.pop() if self.free else torch.empty(sum(self.sizes) + 1, device=self.device)

    def _point_gradients_at(self, buffer: Float[Tensor, " n"]) -> None:
        for parameter, gradient in zip(self.parameters, buffer[:-1].split(self.sizes), strict=True):
            parameter.grad = gradient.view_as(parameter)


def sum_over_ranks(mine: Float[Tensor, " n"], received: Float[Tensor, " n"], ranks: Ranks) -> None:
    """Make `mine` the sum over all ranks, a power of two of them, by recursive doubling: the same bits on each."""
    distance = 1
    while distance < ranks.size:
        peer = ranks.rank ^ distance
        sides = [dist.P2POp(dist.isend, mine, peer), dist.P2POp(dist.irecv, received, peer)]
        for work in dist.batch_isend_irecv(sides):
            work.wait()
        mine += received
        distance *= 2
