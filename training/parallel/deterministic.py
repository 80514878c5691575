"""The deterministic strategy: bit-identical parameters for any number of ranks, since gradients are added in a fixed order.

The global batch is cut into micro-batches whose size does not depend on the ranks. Their gradients are the leaves of a
binary tree, each node the sum of its two children. A rank has a power of two of neighbouring leaves, which is a whole
subtree. The rest of the tree is recursive doubling (Thakur, Rabenseifner and Gropp 2005): in round k, ranks whose numbers
differ in bit k exchange their sums, and both compute left + right, which equals right + left exactly.

It needs log2(leaves of a rank) + 1 copies of the gradients, and one more to receive. It sends log2(ranks) copies per step,
where a ring sends about two, and does not overlap communication with the backward pass. Use it to find out whether a
difference between two runs is a defect or rounding.
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
    """Strategy with the gradients and the loss in one flat buffer, so that both are added in the same way."""

    def __init__(self, model: GPT, ranks: Ranks, dtype: torch.dtype, *, compiles: bool = False) -> None:
        """Set the number of threads (CPU) or deterministic algorithms (GPU), so that the arithmetic is reproducible."""
        super().__init__(model, ranks, dtype, compiles=compiles)
        if self.device.type == "cpu":
            # The rounding of a sum depends on the number of threads, and torchrun gives a rank fewer threads if there are
            # more ranks.
            torch.set_num_threads(1)
        else:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.sizes = [p.numel() for p in self.parameters]
        self.free: list[Float[Tensor, " n"]] = []

    def accumulate(self, batches: Sequence[Batch], n_targets: float, seeds: Sequence[int] = ()) -> Float[Tensor, ""]:
        """As `Strategy.accumulate`; rank 0's part is the whole loss, that of the others 0."""
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
        self.free.append(total)  # reused in the next step, when these gradients are no longer needed
        return total[-1].clone() if self.ranks.is_first else torch.zeros((), device=self.device)

    def _leaf(self, tokens: Int[Tensor, "b t"], targets: Int[Tensor, "b t"], n_targets: float) -> Float[Tensor, " n"]:
        """Gradients and loss of one micro-batch."""
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
    """Replace `mine` by the sum over all ranks (a power of two), by recursive doubling; bit-identical on all ranks."""
    distance = 1
    while distance < ranks.size:
        peer = ranks.rank ^ distance
        sides = [dist.P2POp(dist.isend, mine, peer), dist.P2POp(dist.irecv, received, peer)]
        for work in dist.batch_isend_irecv(sides):
            work.wait()
        mine += received
        distance *= 2
