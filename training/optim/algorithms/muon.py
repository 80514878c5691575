"""Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"): orthogonalised momentum.

With several ranks, each orthogonalises some of the matrices and sends them to the others. The result is bit-identical.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.models.layers.mlp import MLP
from gpt_from_scratch.training.optim import muon_ranks
from gpt_from_scratch.training.optim.algorithm import Algorithm, Member, Named, Shape, group_of, is_hidden_matrix
from gpt_from_scratch.training.optim.sharded import is_sharded
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks

# The quintic iteration's coefficients, chosen for the steepest slope at zero (Jordan et al. 2024).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)

# FLOPs of one unit of work: large enough for full speed, and small enough to balance the ranks. Less than one unit is not
# worth a message. The CPU's value is measured (benchmarks/LOG.md), the GPU's an estimate: four matrices of 768 × 768.
UNIT_FLOPS = {"cpu": 0.5e9, "cuda": 50e9}


class Muon(Algorithm):
    """Muon for the matrices inside the blocks, and AdamW for the rest.

    The matrices are orthogonalised together in stacks of one shape:

    update = √max(1, rows / columns) · orthogonal(momentum · buffer + gradient), after buffer = momentum · buffer + gradient.
    A packed matrix (queries, keys and values) has several `parts`, row blocks that are orthogonalised separately.

    Parameters may be sharded by FSDP; then every rank holds the momentum of its rows only.

    Raises:
        ValueError: a parameter is not a matrix.
    """

    skips: ClassVar[bool] = True

    def __init__(
        self,
        parameters: Iterable[dict[str, Any]],
        lr: float,
        momentum: float,
        weight_decay: float,
        ranks: Ranks = ONE_RANK,
    ) -> None:
        """
        Args:
            ranks: the ranks that share the work; all step together with the same gradients.
        """
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "parts": None})
        self.ranks = ranks
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(f"Muon takes matrices, not a parameter of shape {tuple(parameter.shape)}")

    @classmethod
    def takes(cls, name: str, parameter: Float[Tensor, "..."]) -> bool:
        return is_hidden_matrix(name, parameter)

    @classmethod
    def state_shapes(cls, shape: Shape) -> dict[str, Shape]:
        return {"momentum": shape}

    @classmethod
    def make(cls, named: Named, settings: Any, model: nn.Module, ranks: Ranks = ONE_RANK) -> Algorithm:
        parts = [packed_parts(name, p, model) for name, p in named]
        group = {**group_of(named), "parts": parts}
        return cls([group], settings.muon_lr, settings.momentum, settings.weight_decay, ranks)

    def update(self, group: dict[str, Any], members: Sequence[Member]) -> None:
        parameters = [member.value for member in members]
        gradients = [member.gradient for member in members]
        buffers = [member.state["momentum"] for member in members]
        good = None if self.found_inf is None else self.found_inf == 0
        before = None if good is None else [buffer.clone() for buffer in buffers]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, gradients)
        directions = torch._foreach_mul(buffers, group["momentum"])
        torch._foreach_add_(directions, gradients)
        updates = list(directions)
        shapes = [member.shape for member in members] if is_sharded(group["params"][0]) else None
        orthogonalize_(updates, group["parts"], shapes=shapes, ranks=self.ranks)
        decay = group["lr"] * group["weight_decay"]
        if good is not None and before is not None:
            updates = [torch.where(good, update, 0) for update in updates]
            for buffer, old in zip(buffers, before, strict=True):
                buffer.copy_(torch.where(good, buffer, old))
            decay = decay * good
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - decay)
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])


def orthogonalize_(
    matrices: list[Float[Tensor, "_ _"]],
    parts: list[int] | None = None,
    *,
    shapes: Sequence[tuple[int, ...]] | None = None,
    ranks: Ranks = ONE_RANK,
) -> None:
    """Replace each matrix by approximately the nearest (semi-)orthogonal one, times √max(1, rows / columns).

    Matrices of equal or transposed shape are stacked for the iteration, which gives a few large products.

    Args:
        matrices: whole matrices on every rank, or this rank's rows of each.
        parts: number of row blocks of each matrix; default: one.
        shapes: shapes of the whole matrices, if `matrices` are rows of them.
        ranks: the ranks that share the work; all of them call this.
    """
    device, dtype = matrices[0].device, iteration_dtype(matrices[0])
    whole = tuple((shape[0], shape[1]) for shape in shapes or [matrix.shape for matrix in matrices])
    parts = parts or [1] * len(matrices)
    unit_flops = UNIT_FLOPS["cpu" if device.type == "cpu" else "cuda"]
    units = muon_ranks.plan(whole, tuple(parts), ranks.size, unit_flops)
    if shapes is not None:
        results = muon_ranks.sharded(units, matrices, whole, newton_schulz_stack, dtype, ranks)
    elif ranks.size > 1 and sum(unit.flops for unit in units) >= unit_flops:
        results = muon_ranks.replicated(units, matrices, newton_schulz_stack, dtype, ranks)
    else:
        results = muon_ranks.alone(units, matrices, newton_schulz_stack)
    for matrix, start, values in results:
        rows, columns = whole[matrix]
        scale = math.sqrt(max(1.0, rows / parts[matrix] / columns))
        matrices[matrix][start : start + len(values)].copy_(values).mul_(scale)


def newton_schulz_stack(matrices: list[Float[Tensor, "_ _"]]) -> Float[Tensor, "n short long"]:
    """Orthogonalise matrices of one shape or its transpose, in wide orientation."""
    return newton_schulz(torch.stack([m if m.shape[0] <= m.shape[1] else m.T for m in matrices]))


def newton_schulz(x: Float[Tensor, "n rows columns"], steps: int = 5) -> Float[Tensor, "n rows columns"]:
    """Newton-Schulz iteration on wide matrices: five quintic steps map singular values in [0.003, 1] to about [0.7, 1.2].

    The result has the dtype of the iteration.
    """
    a, b, c = NEWTON_SCHULZ
    x = x.to(iteration_dtype(x))
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) * 1.02 + 1e-7)  # 1.02: bf16 rounding must not lift it above 1
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def iteration_dtype(x: Float[Tensor, "..."]) -> torch.dtype:
    """Dtype of the iteration: bf16 on CUDA (four times as fast, equally good), else the input's."""
    return torch.bfloat16 if x.is_cuda else x.dtype


def packed_parts(name: str, weight: Float[Tensor, "rows columns"], model: nn.Module) -> int:
    """Number of equally high matrices that are packed in a weight.

    Queries, keys and values are three, unless grouped queries make their heights differ. The MLP's gate and its input are
    two.
    """
    if name.endswith("c_attn.weight"):
        return 3 if weight.shape[0] == 3 * weight.shape[1] else 1
    owner = model.get_submodule(name.rsplit(".", 2)[0])
    return 2 if name.endswith("c_fc.weight") and isinstance(owner, MLP) and owner.activation == "swiglu" else 1
