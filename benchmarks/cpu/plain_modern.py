"""Baseline for our presets' steps: the modern architecture and Muon as published, in plain PyTorch.

The model is that of our `MODERN` presets (rotary positions, QK-norm, relu², no biases, an untied head) without registry or
fused ops. Muon is Keller Jordan's: a loop over the matrices, each with five Newton–Schulz steps, here in fp32.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class ModernBlock(nn.Module):
    """Attention and MLP, each behind a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "b t c"], cosine: Float[Tensor, "t half"], sine: Float[Tensor, "t half"]
    ) -> Float[Tensor, "b t c"]:
        b, t, c = x.shape
        q, k, v = (
            part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(c, dim=2)
        )
        q, k = (rotated(F.rms_norm(part, (part.shape[-1],), eps=1e-6), cosine, sine) for part in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).reshape(b, t, c))
        out: Tensor = x + self.mlp_proj(F.relu(self.c_fc(self.ln_2(x))).square())
        return out


def rotated(
    x: Float[Tensor, "b h t d"], cosine: Float[Tensor, "t half"], sine: Float[Tensor, "t half"]
) -> Float[Tensor, "b h t d"]:
    """Rotary positions on the pairs (x[i], x[i + d/2])."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


class PlainModern(nn.Module):
    """The modern GPT, its logits whole. The weights come from a state dict of ours."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, vocab_size: int, block_size: int, n_layer: int, n_head: int, n_embd: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.blocks = nn.ModuleList(ModernBlock(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd, bias=False)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        size = n_embd // n_head
        angle = torch.outer(torch.arange(block_size).double(), 10_000.0 ** (-torch.arange(0, size, 2).double() / size))
        self.register_buffer("cosine", angle.cos().float(), persistent=False)
        self.register_buffer("sine", angle.sin().float(), persistent=False)

    def forward(self, tokens: Int[Tensor, "b t"], targets: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
        x, t = self.wte(tokens), tokens.shape[1]
        for block in self.blocks:
            x = block(x, self.cosine[:t], self.sine[:t])
        return F.cross_entropy(self.lm_head(self.ln_f(x)).flatten(0, 1), targets.flatten())


def zeropower(gradient: Float[Tensor, "rows columns"], steps: int = 5) -> Float[Tensor, "rows columns"]:
    """The nearest orthogonal matrix, about: the quintic Newton–Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = gradient / (gradient.norm() + 1e-7)
    if tall := x.shape[0] > x.shape[1]:
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class PlainMuon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised matrix by matrix."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every matrix."""
        for group in self.param_groups:
            for p in group["params"]:
                if "momentum" not in self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
                buffer = self.state[p]["momentum"]
                buffer.mul_(group["momentum"]).add_(p.grad)
                update = zeropower(p.grad.add(buffer, alpha=group["momentum"]))
                p.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, p.shape[0] / p.shape[1])))
