"""Estimates of a run's memory, disk space, time and floating-point operations."""

import time
from dataclasses import dataclass

import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.layers.lora import add_lora
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.optim.optimizers import state_values
from gpt_from_scratch.training.parallel.choose import rows_at_once

EFFICIENCY = 0.5
"""Expected speed of a whole step, as a fraction of the speed of matrix products: 0.4 to 0.6 is usual."""

# Dense bf16 (fp16 on older chips) FLOP/s by a part of the device's name, from the vendors' data sheets.
PEAK_BF16 = {
    "H200": 989e12,
    "H100": 989e12,
    "GH200": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "MI300X": 1307e12,
}


@dataclass(frozen=True)
class Estimate:
    """Sizes in bytes, time in seconds."""

    parameters: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    checkpoint: int
    disk: int
    tokens: int
    flops_a_token: float
    flops: float
    gemm_rate: float
    seconds: float

    @property
    def memory(self) -> int:
        """Peak memory of one rank."""
        return self.weights + self.gradients + self.optimizer + self.activations


def estimate(config: TrainConfig, n_ranks: int, device: torch.device, dtype: torch.dtype) -> Estimate:
    """Estimate a run's needs. The device's speed of matrix products is measured briefly."""
    model = config.model
    with torch.device("meta"):
        made = GPT(model)
    parameters = made.num_parameters()
    if config.lora.rank:
        add_lora(made, config.lora.rank, config.lora.scale, config.lora.targets)
    trained = sum(parameter.numel() for parameter in made.parameters() if parameter.requires_grad)
    rows = rows_at_once(config, n_ranks, device)
    tokens = config.steps * config.batch_size * model.block_size
    a_token = flops_a_token(model)
    rate = gemm_rate(model, device, dtype)
    checkpoint = checkpoint_bytes(made, config)
    slices = n_ranks if config.parallel == "fsdp" else 1
    kept = config.run.keep_last + 2  # the best checkpoint, and the one that is being written
    if config.run.keep_every:
        kept += config.steps // config.run.keep_every
    return Estimate(
        parameters=parameters,
        weights=4 * parameters // slices,
        gradients=gradient_copies(config, n_ranks) * 4 * trained // slices,
        optimizer=(checkpoint - 4 * parameters) // slices,
        activations=activation_bytes(model, rows, dtype),
        checkpoint=checkpoint,
        disk=kept * checkpoint,
        tokens=tokens,
        flops_a_token=a_token,
        flops=a_token * tokens,
        gemm_rate=rate,
        seconds=a_token * tokens / (EFFICIENCY * rate * n_ranks),
    )


def matrix_parameters(config: GPTConfig) -> int:
    """Number of weights in matrix products: all except embedding look-ups, norms and biases. A tied head counts once."""
    c, d = config.n_embd, config.head_size
    attention = c * (config.n_head + 2 * config.kv_heads) * d + config.n_head * d * c
    mlp = (3 if config.activation == "swiglu" else 2) * c * config.mlp_size
    return config.n_layer * (attention + mlp) + config.vocab_size * c


def flops_a_token(config: GPTConfig, length: int | None = None) -> float:
    """6 N + 12 · n_layer · n_head · head size · T: forward and backward, with the full square of attention (PaLM's appendix B).

    N is `matrix_parameters`; T is `length`, by default the whole context, and in a layer with a window no more than that.
    GPT-2 124M at 1024: 855 M with nanoGPT's N, which also counts norms and biases.
    """
    length = length or config.block_size
    seen = sum(length if window is None else min(window, length) for window in config.windows)
    return 6 * matrix_parameters(config) + 12 * config.n_head * config.head_size * seen


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """The device's dense peak FLOP/s in `dtype`, or None if unknown (then MFU is not shown)."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for key, peak in PEAK_BF16.items() if key in name), None)


def checkpoint_bytes(model: GPT, config: TrainConfig) -> int:
    """Weights, their average if there is one, and the optimizer's state in fp32."""
    copies = 2 if config.optimizer.ema_decay else 1
    return 4 * (copies * sum(p.numel() for p in model.parameters()) + state_values(model, config.optimizer))


def gradient_copies(config: TrainConfig, n_ranks: int) -> int:
    """Number of gradient-sized buffers on one rank: one, or those of the deterministic mode's tree and message."""
    if config.parallel != "deterministic":
        return 1
    leaves = max(config.batch_size // config.leaf_rows // n_ranks, 1)
    return leaves.bit_length() + (n_ranks > 1)


def activation_bytes(config: GPTConfig, rows: int, dtype: torch.dtype) -> int:
    """Activation memory of one micro-batch with fused attention and loss, counted by tensor.

    A block keeps its two norms' inputs and outputs (4 c), queries, keys, values and the attention's output (4 c), the
    branches' outputs (2 c), and the MLP's inner activations before and after (8 c, or the width that it has inside, with a
    gate three times and once after); the head keeps one chunk of logits.
    """
    tokens = rows * config.block_size
    width = dtype.itemsize
    logits = min(tokens, 8192) * config.vocab_size * (4 + width)
    inside = (4 if config.activation == "swiglu" else 2) * config.mlp_size
    return tokens * config.n_layer * (10 * config.n_embd + inside) * width + logits


def gemm_rate(config: GPTConfig, device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """FLOP/s of this device on the MLP's matrix product with 4096 tokens, measured for `seconds`."""
    x = torch.randn(4096, config.n_embd, device=device, dtype=dtype)
    w = torch.randn(config.n_embd, config.mlp_size, device=device, dtype=dtype)
    x @ w
    done = 0
    _wait(device)
    start = time.perf_counter()
    while (taken := time.perf_counter() - start) < seconds:
        x @ w
        _wait(device)
        done += 1
    return 2.0 * 4096 * config.mlp_size * config.n_embd * done / taken


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
