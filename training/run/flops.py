"""Floating-point operations of a training step, and the rate a device can reach."""

import torch

from gpt_from_scratch.models.gpt import GPTConfig

# Dense: bf16 (fp16 on older chips) products a second, by what the device's name contains; by their makers.
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


def matrix_parameters(config: GPTConfig) -> int:
    """Weights that every token is multiplied with: all but embeddings looked up, norms and biases; a tied head counts once."""
    c, d = config.n_embd, config.head_size
    attention = c * (config.n_head + 2 * config.kv_heads) * d + config.n_head * d * c
    mlp = (3 if config.activation == "swiglu" else 2) * c * config.mlp_size
    return config.n_layer * (attention + mlp) + config.vocab_size * c


def flops_a_token(config: GPTConfig, length: int | None = None) -> float:
    """6 N + 12 · n_layer · n_head · head size · T: forward and backward, with the full square of attention (PaLM's appendix B).

    N is `matrix_parameters`; T is `length`, by default the whole context. GPT-2 124M at 1024: 855 M with nanoGPT's N,
    which also counts norms and biases.
    """
    length = length or config.block_size
    return 6 * matrix_parameters(config) + 12 * config.n_layer * config.n_head * config.head_size * length


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """The device's dense peak in `dtype`, or None where it is not known (MFU is then not shown)."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for key, peak in PEAK_BF16.items() if key in name), None)
