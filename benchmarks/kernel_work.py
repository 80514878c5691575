"""The work that kernels are compared on: shapes with their FLOPs and least bytes, and who competes on each.

Used by `pytest benchmarks`, by gpu_report and by the roofline page, so that all three speak of the same thing.
"""

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from gpt_from_scratch.kernels.registry import load_ops

ROWS = 32 * 1024
"""Tokens of a micro-batch."""
GPT2 = {"heads": 12, "head_size": 64, "width": 768, "vocabulary": 50257}


@dataclass(frozen=True)
class Work:
    """One op at one shape. FLOPs and bytes are the least that any implementation needs: every tensor moved once."""

    op: str
    shape: str
    sizes: tuple[int, ...]
    forward_flops: float
    backward_flops: float
    forward_bytes: float
    backward_bytes: float

    def inputs(self, device: str, dtype: torch.dtype) -> dict[str, Any]:
        """Random arguments of the op (zeros run faster), the differentiable ones as leaves."""
        made = MAKERS[self.op](*self.sizes, device, dtype)
        return {
            n: x.requires_grad_() if isinstance(x, Tensor) and x.is_floating_point() else x for n, x in made.items()
        }


def attention(b: int, heads: int, t: int, d: int, element: int = 2) -> Work:
    """Causal attention; causal FLOPs are counted as 2·B·H·T²·D forward, 2.5 times that backward."""
    flops, tensor = 2.0 * b * heads * t * t * d, float(b * heads * t * d * element)
    return Work(
        "attention", f"b={b} h={heads} t={t} d={d}", (b, heads, t, d), flops, 2.5 * flops, 4 * tensor, 8 * tensor
    )


def layer_norm(rows: int, width: int, element: int = 2) -> Work:
    """Read x, write y; backward read dy and x, write dx. The arithmetic is not counted: memory decides."""
    tensor = float(rows * width * element)
    return Work("layer_norm", f"{rows}×{width}", (rows, width), 0, 0, 2 * tensor, 3 * tensor)


def add_layer_norm(rows: int, width: int, element: int = 2) -> Work:
    """Read two, write the sum and its norm; backward read the sum and both gradients, write one."""
    tensor = float(rows * width * element)
    return Work("add_layer_norm", f"{rows}×{width}", (rows, width), 0, 0, 4 * tensor, 4 * tensor)


def linear_cross_entropy(rows: int, width: int, vocabulary: int, element: int = 2) -> Work:
    """Three products of the same size; logits need not reach memory. The weight and its gradient are fp32."""
    flops, hidden, head = 2.0 * rows * width * vocabulary, rows * width * element, vocabulary * width * 4
    shape = f"n={rows} c={width} v={vocabulary}"
    return Work(
        "linear_cross_entropy", shape, (rows, width, vocabulary), flops, 2 * flops, hidden + head, hidden + head
    )


def gpt2_step(batch: int = 32, tokens: int = 1024) -> list[tuple[int, Work]]:
    """(calls a training step, work) of GPT-2 124M."""
    rows, width = batch * tokens, GPT2["width"]
    return [
        (12, attention(batch, GPT2["heads"], tokens, GPT2["head_size"])),
        (1, layer_norm(rows, width)),
        (24, add_layer_norm(rows, width)),
        (1, linear_cross_entropy(rows, width, GPT2["vocabulary"])),
    ]


def small() -> list[Work]:
    """Shapes for a CPU: the presets' for a laptop."""
    return [
        attention(4, 4, 128, 32, 4),
        attention(1, 12, 256, 64, 4),
        layer_norm(1024, 128, 4),
        add_layer_norm(1024, 128, 4),
        linear_cross_entropy(512, 128, 65, 4),
        linear_cross_entropy(512, 128, 4096, 4),
    ]


def on_gpu() -> list[Work]:
    """GPT-2's shapes first, then other widths, and attention up to 16k tokens at 32k tokens a batch and two head sizes."""
    others = [make(ROWS, width) for width in (1024, 1600) for make in (layer_norm, add_layer_norm)]
    longer = [attention(ROWS // t, 768 // d, t, d) for d in (64, 128) for t in (1024, 2048, 4096, 8192, 16384)]
    return [work for _, work in gpt2_step()] + others + longer[1:]


def contenders(work: Work, device: str, dtype: torch.dtype) -> dict[str, Callable[..., Any]]:
    """Name → a function of the op's arguments. Ours have the backend's name; "outside" ones what people would call."""
    made = load_ops()[work.op]
    ours = {name: partial(made, backend=name) for name in made.backends if made.why_not(name, device) is None}
    outside = {f"outside {name}": function for name, function in OUTSIDE[work.op](work, device, dtype)}
    return {**ours, **outside}


@dataclass(frozen=True)
class Deterministic:
    """A contender whose forward and backward run under torch.use_deterministic_algorithms(True). Some refuse to."""

    function: Callable[..., Any]

    def __call__(self, **arguments: Any) -> Any:
        with deterministic():
            return self.function(**arguments)


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """The mode, but without filling every new tensor with NaN, which is a debugging aid and costs a pass over memory."""
    filled = torch.utils.deterministic.fill_uninitialized_memory
    before = torch.are_deterministic_algorithms_enabled()
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = filled


def _sdpa(q: Tensor, k: Tensor, v: Tensor, *, chosen: SDPBackend | None = None) -> Tensor:
    if chosen is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    with sdpa_kernel(chosen):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


SDPA = {
    "sdpa flash": SDPBackend.FLASH_ATTENTION,
    "sdpa cudnn": SDPBackend.CUDNN_ATTENTION,
    "sdpa efficient": SDPBackend.EFFICIENT_ATTENTION,
}
SCORES_IN_MEMORY = 2048  # tokens up to which 32k tokens' scores fit a GPU's memory several times over


def _outside_attention(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield "sdpa", _sdpa
    if device != "cuda" or dtype == torch.float32:
        yield "sdpa flash, deterministic", Deterministic(partial(_sdpa, chosen=SDPBackend.FLASH_ATTENTION))
        return
    for name, chosen in SDPA.items():
        yield name, partial(_sdpa, chosen=chosen)
        yield f"{name}, deterministic", Deterministic(partial(_sdpa, chosen=chosen))
    if work.sizes[2] <= SCORES_IN_MEMORY:
        yield "inductor", torch.compile(load_ops()["attention"].reference, dynamic=False)
    yield "flex", flex(work.sizes[2], device)


def flex(tokens: int, device: str) -> Callable[..., Any]:
    """FlexAttention with a causal block mask, which is made once, at the first call."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    compiled = torch.compile(flex_attention, dynamic=False)

    @cache
    def mask() -> Any:
        return create_block_mask(lambda b, h, i, j: i >= j, None, None, tokens, tokens, device=device)

    return lambda q, k, v: compiled(q, k, v, block_mask=mask())


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, weight.shape, weight, bias)


def _outside_layer_norm(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield "eager", _layer_norm
    if device == "cuda":
        yield "inductor", torch.compile(_layer_norm, dynamic=False)
    if (liger := _liger("layer_norm.LigerLayerNormFunction", device)) is not None:
        yield "liger", lambda x, weight, bias: liger(x, weight, bias, 1e-5)


def _add_layer_norm(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    total = x + residual
    return F.layer_norm(total, weight.shape, weight, bias), total


def _outside_add_layer_norm(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Liger fuses the addition with RMSNorm only; its LayerNorm gets the sum, as its users would write it."""
    yield "eager", _add_layer_norm
    if device == "cuda":
        yield "inductor", torch.compile(_add_layer_norm, dynamic=False)
    if (liger := _liger("layer_norm.LigerLayerNormFunction", device)) is not None:

        def add_then_liger(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
            total = x + residual
            return liger(total, weight, bias, 1e-5), total

        yield "add, then liger", add_then_liger


def _cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight.to(hidden.dtype)).float(), targets)


def _outside_loss(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield "eager", _cross_entropy
    if device == "cuda":
        yield "inductor", torch.compile(_cross_entropy, dynamic=False)
    if (liger := _liger("fused_linear_cross_entropy.LigerFusedLinearCrossEntropyFunction", device)) is not None:
        yield "liger", lambda hidden, weight, targets: liger(hidden, weight.to(hidden.dtype), targets)[0]


def _liger(name: str, device: str) -> Callable[..., Any] | None:
    """A function of liger_kernel.ops, imported at its first call, where Liger is installed and can run."""
    if device != "cuda" or importlib.util.find_spec("liger_kernel") is None:
        return None
    module, _, function = name.partition(".")
    return lambda *arguments: getattr(importlib.import_module(f"liger_kernel.ops.{module}"), function).apply(*arguments)


def _make_attention(b: int, heads: int, t: int, d: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    packed = torch.randn(b, t, 3, heads, d, device=device, dtype=dtype)
    return dict(zip("qkv", (x.transpose(1, 2).detach() for x in packed.unbind(2)), strict=True))


def _make_norm(rows: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    parameters = {"weight": torch.ones(width, device=device), "bias": torch.zeros(width, device=device)}
    x = torch.randn(rows, width, device=device, dtype=dtype)
    return {"x": x, **{name: value.to(dtype) for name, value in parameters.items()}}


def _make_add_norm(rows: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    made = _make_norm(rows, width, device, dtype)
    return {"x": made.pop("x"), "residual": torch.randn(rows, width, device=device, dtype=dtype), **made}


def _make_loss(rows: int, width: int, vocabulary: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "hidden": torch.randn(rows, width, device=device, dtype=dtype),
        "weight": torch.randn(vocabulary, width, device=device) * 0.02,
        "targets": torch.randint(vocabulary, (rows,), device=device),
    }


MAKERS: dict[str, Callable[..., dict[str, Any]]] = {
    "attention": _make_attention,
    "layer_norm": _make_norm,
    "add_layer_norm": _make_add_norm,
    "linear_cross_entropy": _make_loss,
}
OUTSIDE: dict[str, Callable[[Work, str, torch.dtype], Iterator[tuple[str, Callable[..., Any]]]]] = {
    "attention": _outside_attention,
    "layer_norm": _outside_layer_norm,
    "add_layer_norm": _outside_add_layer_norm,
    "linear_cross_entropy": _outside_loss,
}


def forward_and_backward(function: Callable[..., Any], inputs: dict[str, Any], upstream: Any) -> None:
    """One call and its gradients, which are dropped. `upstream` is what `like_outputs` made."""
    with deterministic() if isinstance(function, Deterministic) else contextlib.nullcontext():
        outputs = function(**inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        leaves = [x for x in inputs.values() if isinstance(x, Tensor) and x.requires_grad]
        torch.autograd.grad(outputs, leaves, upstream)


def like_outputs(function: Callable[..., Any], inputs: dict[str, Any]) -> list[Tensor]:
    """Random gradients of the outputs; of a loss 1."""
    with torch.no_grad():
        outputs = function(**inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return [torch.randn_like(out) if out.ndim else torch.ones_like(out) for out in outputs]
