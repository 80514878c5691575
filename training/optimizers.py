"""AdamW and Muon, and which parameter goes to which.

Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks") orthogonalises the momentum of each
hidden matrix; embeddings, the head, norms and biases go to AdamW. Weight decay is decoupled, and only matrices have it.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

# The quintic iteration's coefficients, chosen for the steepest slope at zero (Jordan et al. 2024).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class OptimizerConfig:
    """How parameters are updated."""

    name: Literal["muon", "adamw"] = "adamw"
    """"muon": Muon for the hidden matrices and AdamW for the rest; "adamw": AdamW for all."""
    lr: float = 6e-4
    """AdamW's peak learning rate."""
    embed_lr: float | None = None
    """AdamW's peak learning rate for embeddings and an untied head; default: lr. Beside Muon they want far more."""
    muon_lr: float = 0.02
    """Muon's peak learning rate, for an update of root mean square about √(1/n_in)."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    eps: float = 1e-8
    """AdamW's guard against division by zero."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices (AdamW's and Muon's), relative to the learning rate."""
    momentum: float = 0.95
    """Muon's momentum (Nesterov)."""
    grad_clip: float = 1.0
    """Largest norm of the whole gradient; a longer one is scaled down to it. 0: no clipping."""

    def __post_init__(self) -> None:
        for name in ("lr", "muon_lr", "eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optimizer.{name} must be above 0, it is {getattr(self, name)}")
        if self.embed_lr is not None and not self.embed_lr > 0:
            raise ValueError(f"optimizer.embed_lr must be above 0, it is {self.embed_lr}")
        for name in ("weight_decay", "grad_clip"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optimizer.{name} must be 0 or more, it is {getattr(self, name)}")
        for name, value in (("betas", self.betas[0]), ("betas", self.betas[1]), ("momentum", self.momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"optimizer.{name} must lie in [0, 1), it is {getattr(self, name)}")


class Muon(torch.optim.Optimizer):
    """Muon over matrices, orthogonalised together in stacks of one shape.

    update = √max(1, rows / columns) · orthogonal(momentum · buffer + gradient), after buffer = momentum · buffer + gradient.
    A matrix that packs several (queries, keys and values) is given as `parts` row blocks, each orthogonalised by itself.

    Where `found_inf` is set to a tensor that is not 0, a step changes nothing (as for torch's fused AdamW): a bad gradient
    is skipped without asking the device.

    Raises:
        ValueError: a parameter is no matrix.
    """

    found_inf: Tensor | None = None

    def __init__(self, parameters: Iterable[dict[str, Any]], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "parts": None})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(f"Muon takes matrices, not a parameter of shape {tuple(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            buffers = []
            for parameter in parameters:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                buffers.append(state["momentum"])
            gradients = [p.grad for p in parameters]
            good = None if self.found_inf is None else self.found_inf == 0
            before = None if good is None else [buffer.clone() for buffer in buffers]
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, gradients)
            directions = torch._foreach_mul(buffers, group["momentum"])
            torch._foreach_add_(directions, gradients)
            parts = group["parts"] or [1] * len(parameters)
            updates = orthogonalized([block for d, n in zip(directions, parts, strict=True) for block in d.chunk(n)])
            decay = group["lr"] * group["weight_decay"]
            if good is not None and before is not None:
                updates = [torch.where(good, update, 0) for update in updates]
                for buffer, old in zip(buffers, before, strict=True):
                    buffer.copy_(torch.where(good, buffer, old))
                decay = decay * good
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - decay)
            blocks = [block for p, n in zip(parameters, parts, strict=True) for block in p.chunk(n)]
            torch._foreach_add_(blocks, updates, alpha=-group["lr"])
        return loss


def orthogonalized(matrices: list[Float[Tensor, "_ _"]]) -> list[Float[Tensor, "_ _"]]:
    """The nearest (semi-)orthogonal matrix of each, about, times √max(1, rows / columns).

    Matrices of one shape, or one the other's transpose, go through the iteration as one stack: few large products in
    place of many small ones.
    """
    stacks: dict[tuple[int, int], list[int]] = {}
    for index, matrix in enumerate(matrices):
        rows, columns = matrix.shape
        stacks.setdefault((min(rows, columns), max(rows, columns)), []).append(index)
    results = list(matrices)
    for members in stacks.values():
        wide = [matrices[i] if matrices[i].shape[0] <= matrices[i].shape[1] else matrices[i].T for i in members]
        for i, matrix in zip(members, newton_schulz(torch.stack(wide)), strict=True):
            rows, columns = matrices[i].shape
            results[i] = (matrix if rows <= columns else matrix.T) * math.sqrt(max(1.0, rows / columns))
    return results


def newton_schulz(x: Float[Tensor, "n rows columns"], steps: int = 5) -> Float[Tensor, "n rows columns"]:
    """Push the singular values of wide matrices towards 1: five quintic steps take [0.003, 1] to about [0.7, 1.2].

    On CUDA in bf16, where the product is four times as fast and the result as good; elsewhere in the input's dtype.
    """
    a, b, c = NEWTON_SCHULZ
    dtype = x.dtype
    if x.is_cuda:
        x = x.bfloat16()
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) * 1.02 + 1e-7)  # 1.02: bf16 rounding must not lift it above 1
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(dtype)


def make_optimizers(model: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all, or for what Muon does not take; every parameter in exactly one group, in the model's order.

    Each group carries its peak rate as "peak_lr" (a schedule multiplies it) and its parameters' names as "names".
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    hidden = [(name, p) for name, p in named if config.name == "muon" and is_hidden_matrix(name, p)]
    taken = {name for name, _ in hidden}
    rest = [(name, p) for name, p in named if name not in taken]
    embedding = [(name, p) for name, p in rest if p.ndim >= 2 and not name.startswith("h.")]
    matrices = [(name, p) for name, p in rest if p.ndim >= 2 and name.startswith("h.")]
    vectors = [(name, p) for name, p in rest if p.ndim < 2]
    groups = [
        {"params": [p for _, p in members], "names": [name for name, _ in members], "lr": lr, "weight_decay": decay}
        for members, lr, decay in (
            (embedding, config.embed_lr or config.lr, config.weight_decay),
            (matrices, config.lr, config.weight_decay),
            (vectors, config.lr, 0.0),
        )
        if members
    ]
    optimizers: list[torch.optim.Optimizer] = []
    if groups:
        optimizers.append(torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=True))
    if hidden:
        group = {
            "params": [p for _, p in hidden],
            "names": [name for name, _ in hidden],
            "parts": [packed_parts(p) if name.endswith("c_attn.weight") else 1 for name, p in hidden],
        }
        optimizers.append(Muon([group], config.muon_lr, config.momentum, config.weight_decay))
    for optimizer in optimizers:
        for made in optimizer.param_groups:
            made["peak_lr"] = made["lr"]
    return optimizers


def is_hidden_matrix(name: str, parameter: Float[Tensor, "..."]) -> bool:
    """Whether Muon takes it: a matrix inside a block."""
    return parameter.ndim == 2 and name.startswith("h.")


def packed_parts(weight: Float[Tensor, "rows columns"]) -> int:
    """3 where queries, keys and values of one width lie in one matrix; 1 where grouped queries make them differ."""
    return 3 if weight.shape[0] == 3 * weight.shape[1] else 1


def optimizer_tensors(optimizers: Iterable[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The whole state as named tensors, "exp_avg.h.0.attn.c_attn.weight"; what a checkpoint stores."""
    tensors = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                for key, value in optimizer.state[parameter].items():
                    tensors[f"{key}.{name}"] = value
    return tensors


def load_optimizer_tensors(optimizers: Iterable[torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`; nothing at all is the state before the first step.

    Raises:
        ValueError: names or shapes that do not fit the optimizers' parameters.
    """
    if not tensors:
        return
    left = dict(tensors)
    for optimizer in optimizers:
        keys = ("momentum",) if isinstance(optimizer, Muon) else ("step", "exp_avg", "exp_avg_sq")
        for group in optimizer.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                for key in keys:
                    value = left.pop(f"{key}.{name}", None)
                    if value is None or (key != "step" and value.shape != parameter.shape):
                        found = "nothing" if value is None else f"shape {tuple(value.shape)}"
                        raise ValueError(
                            f"the optimizer's state {key}.{name} should have shape {tuple(parameter.shape)}, found {found}: "
                            "the checkpoint belongs to another model or optimizer"
                        )
                    device = "cpu" if key == "step" and not group.get("fused") else parameter.device
                    optimizer.state[parameter][key] = value.to(device, copy=True)
    if left:
        raise ValueError(f"the checkpoint has optimizer state for unknown parameters, e.g. {min(left)}")
