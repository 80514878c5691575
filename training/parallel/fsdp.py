"""The FSDP strategy (FSDP2, `fully_shard`): every rank holds a shard of each parameter, gradient and moment.

A block's weights are gathered for its forward pass and again for its backward pass, and freed after each. The embeddings
and the norms, which a step needs at its start and end, stay gathered from the first forward to the backward pass.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from gpt_from_scratch.models.gpt import GPT, Block
from gpt_from_scratch.training.checkpoints.parts import own_part
from gpt_from_scratch.training.optim.sharded import local
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import Ranks


class FSDP(Strategy):
    """Strategy by FSDP2. With bf16 activations, weights are gathered and used in bf16; everything else is fp32."""

    def __init__(self, model: GPT, ranks: Ranks, dtype: torch.dtype, *, compiles: bool = False) -> None:
        """Shard `model` in place. It has new parameters then, so make the optimizers afterwards."""
        super().__init__(model, ranks, dtype, compiles=compiles)
        # Linear layers return a view, which must not be changed in place. The residual stream never is.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        policy = MixedPrecisionPolicy()
        if dtype != torch.float32:
            policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
        mesh = init_device_mesh(self.device.type, (ranks.size,))
        for branches in self._branches():
            fully_shard(branches, mesh=mesh, mp_policy=policy)
        fully_shard(model, mesh=mesh, mp_policy=policy)

    def clip(self, limit: float) -> Float[Tensor, ""]:
        """As `Strategy.clip`, from the shards of all ranks."""
        gradients = [local(p.grad) for p in self.model.parameters() if p.grad is not None]
        squares = torch.nn.utils.get_total_norm(gradients).square()
        dist.all_reduce(squares)
        norm = squares.sqrt()
        if limit:
            torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))
        return norm

    @contextmanager
    def whole(self, needed: bool = True) -> Iterator[GPT]:
        """Context with an unsharded copy of the model; inside it no rank waits for another."""
        weights = {}
        for name, tensor in self.model.state_dict().items():
            gathered = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            if needed:
                weights[name] = gathered.detach()
        if not needed:
            yield self.model
            return
        with torch.device("meta"):
            model = GPT(self.model.config)
        model.load_state_dict(weights, assign=True)
        for name, buffer in self.model.named_buffers():
            setattr(model, name, buffer)
        yield model

    @property
    def saving(self) -> Ranks:
        """All ranks write, each a part."""
        return self.ranks

    def part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """This rank's part of the tensors, unsharded."""
        return own_part(tensors, self.ranks)

    def _compile(self) -> None:
        """Compile branch by branch, inside the hooks that gather weights."""
        for branches in self._branches():
            for branch in branches:
                branch.compile(dynamic=False)

    def _branches(self) -> list[list[nn.Module]]:
        """The modules that are gathered as units: all except the norms, since each block runs the next block's norm."""
        blocks: list[Block] = list(self.model.h)  # type: ignore[arg-type]
        return [[block.attn, block.mlp] for block in blocks]

    def _step_of(self, number: int, count: int) -> AbstractContextManager[None]:
        assert isinstance(self.model, FSDPModule)
        self.model.set_requires_gradient_sync(number == count - 1)
        return nullcontext()

    def _nats(self, tokens: Int[Tensor, "b t"], targets: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
        # No autocast: the gathered weights have the activations' dtype.
        nats: Tensor = self.module(self._moved(tokens), self._moved(targets), reduction="sum")
        return nats
