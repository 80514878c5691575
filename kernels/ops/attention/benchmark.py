"""Benchmark of attention: its sizes, rivals and goals on a GPU, and the configurations that are searched."""

import itertools
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from gpt_from_scratch.kernels.benchmarking import Deterministic, Goal, Work, times_best, value_of
from gpt_from_scratch.kernels.launch_config import Config
from gpt_from_scratch.kernels.ops.attention.reference import attention
from gpt_from_scratch.kernels.spec import ModelShape, Tuning

TOKENS = 32 * 1024  # of a micro-batch
SCORES_IN_MEMORY = 2048  # tokens up to which so many tokens' scores fit a GPU's memory several times over
SDPA = {
    "sdpa flash": SDPBackend.FLASH_ATTENTION,
    "sdpa cudnn": SDPBackend.CUDNN_ATTENTION,
    "sdpa efficient": SDPBackend.EFFICIENT_ATTENTION,
}


def work(b: int, heads: int, t: int, d: int, element: int = 2) -> Work:
    """Causal attention; causal FLOPs are counted as 2·B·H·T²·D forward, 2.5 times that backward."""
    flops, tensor = 2.0 * b * heads * t * t * d, float(b * heads * t * d * element)
    make = partial(inputs, b, heads, t, d)
    return Work("attention", f"b={b} h={heads} t={t} d={d}", flops, 2.5 * flops, 4 * tensor, 8 * tensor, make)


def inputs(b: int, heads: int, t: int, d: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Queries, keys and values in one packed projection."""
    packed = torch.randn(b, t, 3, heads, d, device=device, dtype=dtype)
    return dict(zip("qkv", (x.transpose(1, 2).detach() for x in packed.unbind(2)), strict=True))


def in_a_model(shape: ModelShape, batch: int, tokens: int, element: int) -> Work:
    """One layer's."""
    return work(batch, shape.n_head, tokens, shape.head_size, element)


def outside(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """torch's kernels, each also where it must be deterministic, inductor's and FlexAttention."""
    yield "sdpa", _sdpa
    if device != "cuda" or dtype == torch.float32:
        yield "sdpa flash, deterministic", Deterministic(partial(_sdpa, chosen=SDPBackend.FLASH_ATTENTION))
        return
    for name, chosen in SDPA.items():
        yield name, partial(_sdpa, chosen=chosen)
        yield f"{name}, deterministic", Deterministic(partial(_sdpa, chosen=chosen))
    tokens = int(work.shape.partition(" t=")[2].split()[0])
    if tokens <= SCORES_IN_MEMORY:
        yield "inductor", torch.compile(attention.reference, dynamic=False)
    yield "flex", flex(tokens, device)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, *, chosen: SDPBackend | None = None) -> Tensor:
    if chosen is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    with sdpa_kernel(chosen):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def flex(tokens: int, device: str) -> Callable[..., Any]:
    """FlexAttention with a causal block mask, which is made once, at the first call."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    compiled = torch.compile(flex_attention, dynamic=False)

    @cache
    def mask() -> Any:
        return create_block_mask(lambda b, h, i, j: i >= j, None, None, tokens, tokens, device=device)

    return lambda q, k, v: compiled(q, k, v, block_mask=mask())


GPT2 = work(32, 12, 1024, 64)
SMALL = (work(4, 4, 128, 32, 4), work(1, 12, 256, 64, 4))
LARGE = tuple(work(TOKENS // t, 768 // d, t, d) for d in (64, 128) for t in (1024, 2048, 4096, 8192, 16384))[1:]
GOALS = (
    Goal("attention forward, causal, d=64, 1024 tokens", 290, "TFLOP/s", value_of(GPT2, "forward TFLOP/s")),
    Goal("the same, beside the best of torch's", 1.0, "×", times_best(GPT2, lambda row: row["forward TFLOP/s"])),
    Goal("its backward, beside the best of torch's", 0.9, "×", times_best(GPT2, lambda row: row["backward TFLOP/s"])),
)


def candidates() -> Iterator[Config]:
    """Tiles, warps and stages."""
    for rows, columns, warps, stages in itertools.product((32, 64, 128), (32, 64, 128), (4, 8), (1, 2, 3)):
        yield Config(rows, columns, warps, stages)


TUNING = tuple(
    Tuning(kernel, (64, 128), candidates, lambda size: work(32, 768 // size, 1024, size))
    for kernel in ("forward", "backward_q", "backward_kv")
)
