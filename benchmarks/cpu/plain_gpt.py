"""Baseline for training: GPT-2's architecture in plain, eager PyTorch with AdamW.

    python -m gpt_from_scratch.benchmarks.cpu.plain_gpt tinyshakespeare.txt      # nanoGPT's published CPU command, its settings

4 layers, 4 heads, 128 wide, context 64, 2,000 steps of 12 rows, no dropout, AdamW at 1e-3 falling to 1e-4 after 100 steps of
warm-up. Attention is torch's fused one and the loss F.cross_entropy, so it is no straw man.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

STEPS, BATCH, WARMUP, PEAK, LEAST = 2_000, 12, 100, 1e-3, 1e-4


class PlainBlock(nn.Module):
    """Attention and MLP, each behind a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        b, t, c = x.shape
        q, k, v = (
            part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(c, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).reshape(b, t, c))
        out: Tensor = x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))
        return out


class PlainGPT(nn.Module):
    """GPT-2, its logits whole."""

    def __init__(self, vocab_size: int, block_size: int, n_layer: int, n_head: int, n_embd: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.blocks = nn.ModuleList(PlainBlock(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * n_layer) if "proj" in name else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Int[Tensor, "b t"], targets: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def rate(step: int) -> float:
    """Warm-up, then half a cosine."""
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    return LEAST + (PEAK - LEAST) * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP))) / 2


@torch.inference_mode()
def validation_loss(model: PlainGPT, data: Int[Tensor, " n"], block_size: int) -> float:
    """Nats a character over all of it, in windows that do not overlap."""
    rows = (len(data) - 1) // block_size
    tokens, targets = (data[start : start + rows * block_size].view(rows, block_size) for start in (0, 1))
    nats = sum(float(model(x, y)) * y.numel() for x, y in zip(tokens.split(128), targets.split(128), strict=True))
    rest = data[rows * block_size :][None]
    if rest.shape[1] > 1:
        nats += float(model(rest[:, :-1], rest[:, 1:])) * (rest.shape[1] - 1)
    return nats / (len(data) - 1)


def main() -> None:
    """Train on the first nine tenths of a text and print the loss on the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS, help="stop earlier, on the same schedule")
    arguments = parser.parse_args()
    text = arguments.text.read_text(encoding="utf-8")
    ids = {character: index for index, character in enumerate(sorted(set(text)))}
    data = torch.tensor([ids[character] for character in text])
    train, held_out, block_size = data[: int(0.9 * len(data))], data[int(0.9 * len(data)) :], 64
    torch.manual_seed(1337)
    model = PlainGPT(len(ids), block_size, n_layer=4, n_head=4, n_embd=128)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.99))
    for step in range(arguments.steps):
        starts = torch.randint(len(train) - block_size, (BATCH,))
        x = torch.stack([train[start : start + block_size] for start in starts])
        y = torch.stack([train[start + 1 : start + 1 + block_size] for start in starts])
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = model(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0:
            print(f"step {step}  loss {float(loss.detach()):.4f}", flush=True)
    print(f"step {arguments.steps}  validation loss {validation_loss(model, held_out, block_size):.4f}", flush=True)


if __name__ == "__main__":
    main()
