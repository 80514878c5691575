"""The strategy for one rank, which is the base class of all strategies."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gpt_from_scratch.kernels.registry import load_backends
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks

Batch = tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]
"""(tokens, targets) of one micro-batch, on the CPU."""


class Strategy:
    """Strategy for one rank. All ranks of a run call the same methods in the same order."""

    def __init__(self, model: GPT, ranks: Ranks, dtype: torch.dtype, *, compiles: bool = False) -> None:
        """
        Args:
            model: the model on its device, with the same weights on every rank.
            dtype: dtype of the activations. compiles: whether training uses torch.compile.
        """
        self.model, self.ranks, self.dtype = model, ranks, dtype
        self.device = model.wte.weight.device
        self.compiles = compiles
        if compiles:
            load_backends(self.device)
            self._compile()
        self.module: nn.Module = model

    def accumulate(self, batches: Sequence[Batch], n_targets: float, seeds: Sequence[int] = ()) -> Float[Tensor, ""]:
        """Run this rank's micro-batches, and set the gradients of the mean loss over all ranks' targets.

        Args:
            seeds: of what each micro-batch drops, where the model has dropout.

        Returns:
            This rank's part of the batch's loss, in nats; the parts of all ranks add up to the loss.
        """
        loss = torch.zeros((), device=self.device)
        for number, (tokens, targets) in enumerate(batches):
            with self._step_of(number, len(batches)):
                if seeds:
                    torch.manual_seed(seeds[number])
                nats = self._nats(tokens, targets)
                # Averaging over ranks divides by their number, but the loss is the mean over the targets of all ranks.
                (nats * (self.ranks.size / n_targets)).backward()
            loss += nats.detach()
        return loss

    def clip(self, limit: float) -> Float[Tensor, ""]:
        """Clip the gradient to norm `limit` (0: no clipping) and return its norm before clipping."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if limit and not (
            self.device.type == "cpu" and norm + 1e-6 <= limit
        ):  # reading it from a GPU would synchronize
            torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        return norm

    @contextmanager
    def whole(self, needed: bool = True) -> Iterator[GPT]:
        """Context with the uncompiled, unsharded model, for evaluation and sampling; all ranks enter together.

        Args:
            needed: False on a rank that must participate but does not use the model.
        """
        # Evaluation and sampling have many shapes; each would be compiled.
        with torch.compiler.set_stance("force_eager") if self.compiles else nullcontext():
            yield self.model

    @property
    def saving(self) -> Ranks | None:
        """The ranks that write a checkpoint together, if this is one of them. Here rank 0 writes everything."""
        return ONE_RANK if self.ranks.is_first else None

    def part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors of the model or the optimizers that this rank writes, unsharded."""
        return tensors

    def autocast(self) -> torch.autocast:
        """Context in which the activations have their dtype."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _compile(self) -> None:
        """Compile block by block, since compiling the whole model takes minutes (benchmarks/LOG.md)."""
        for block in self.model.h:
            block.compile(dynamic=False)  # Dynamo cannot trace our functions with symbolic sizes (benchmarks/LOG.md)

    def _step_of(self, number: int, count: int) -> AbstractContextManager[None]:
        """Context of the passes of micro-batch `number` of `count`; only the last one synchronizes gradients."""
        return nullcontext()

    def _nats(self, tokens: Int[Tensor, "b t"], targets: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
        with self.autocast():
            nats: Tensor = self.module(self._moved(tokens), self._moved(targets), reduction="sum")
        return nats

    def _moved(self, x: Int[Tensor, "b t"]) -> Int[Tensor, "b t"]:
        return x.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else x.to(self.device)
