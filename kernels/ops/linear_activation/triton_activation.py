"""The Triton kernels of linear_activation, and the functions that launch them: bias and activation around torch's product.

Bound by memory. Forward: read the product, write the activations. Backward: read their gradient and the product, write the
product's gradient, and add up the bias's in the same pass, which torch reads the product's gradient once more for. Sums over
rows take two stages without atomics, the second of which is layer_norm's.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from gpt_from_scratch.kernels.ops.layer_norm.triton_norm import column_sums
from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import launch, multiprocessors, opaque, rows_of


@triton.jit
@no_type_check
def gelu_gate(x):
    """(sigmoid(2u), du/dx) with u = √(2/π) (x + 0.044715 x³); GELU by tanh is x · sigmoid(2u)."""
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    return tl.sigmoid(2.0 * u), 0.7978845608028654 * (1.0 + 0.134145 * x * x)


@triton.jit
@no_type_check
def activation_forward(
    product_ptr,
    bias_ptr,
    y_ptr,
    rows,
    width,
    GELU: tl.constexpr,
    BIAS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """y = activation(product + bias) for a tile."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row < rows)[:, None] & (column < width)[None, :]
    at = row[:, None] * width + column[None, :]
    x = tl.load(product_ptr + at, mask=inside, other=0.0).to(tl.float32)
    if BIAS:
        x += tl.load(bias_ptr + column, mask=column < width, other=0.0).to(tl.float32)[None, :]
    if GELU:
        gate, _ = gelu_gate(x)
        y = x * gate
    else:
        y = tl.maximum(x, 0.0) * tl.maximum(x, 0.0)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
@no_type_check
def activation_backward(
    dy_ptr,
    product_ptr,
    bias_ptr,
    dproduct_ptr,
    partial_ptr,
    rows,
    width,
    dy_stride,
    GELU: tl.constexpr,
    BIAS: tl.constexpr,
    INPUT: tl.constexpr,
    SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """dproduct = dy · activation'(product + bias), and this program's sums of it over its rows.

    INPUT and SUMS say which of the two are wanted.
    """
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    if BIAS:
        bias = tl.load(bias_ptr + column, mask=column < width, other=0.0).to(tl.float32)
    sums = tl.zeros([ROWS, COLUMNS], tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        row = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & (column < width)[None, :]
        at = row[:, None] * width + column[None, :]
        x = tl.load(product_ptr + at, mask=inside, other=0.0).to(tl.float32)
        dy = tl.load(dy_ptr + row[:, None] * dy_stride + column[None, :], mask=inside, other=0.0).to(tl.float32)
        if BIAS:
            x += bias[None, :]
        if GELU:
            gate, slope = gelu_gate(x)
            dx = dy * (gate + 2.0 * x * gate * (1.0 - gate) * slope)
        else:
            dx = dy * 2.0 * tl.maximum(x, 0.0)
        if SUMS:
            sums += dx
        if INPUT:
            tl.store(dproduct_ptr + at, dx.to(dproduct_ptr.dtype.element_ty), mask=inside)
    if SUMS:
        tl.store(partial_ptr + tl.program_id(0) * width + column, tl.sum(sums, axis=0), mask=column < width)


def why_not(x: Tensor) -> str | None:
    """Why the kernels cannot take this x, or None."""
    return "torch.float64 (the kernels compute in fp32)" if x.dtype == torch.float64 else None


def forward_shapes(product: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    """An empty tensor like `forward`'s."""
    return torch.empty_like(product, memory_format=torch.contiguous_format)


@opaque("activation_forward", forward_shapes)
def forward(product: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    """activation(product + bias): GELU, or max(·, 0)²."""
    product, y = product.contiguous(), forward_shapes(product, bias, gelu)
    count, width = product.shape[:-1].numel(), product.shape[-1]
    config = configs.find(product, "linear_activation", "forward", width)
    launch(
        activation_forward,
        (triton.cdiv(count, config.rows), triton.cdiv(width, config.columns)),
        config,
        *(product, product if bias is None else bias.contiguous(), y, count, width),
        GELU=gelu,
        BIAS=bias is not None,
        ROWS=config.rows,
        COLUMNS=config.columns,
    )
    return y


def backward_shapes(
    dy: Tensor, product: Tensor, bias: Tensor | None, gelu: bool, with_input: bool = True, with_bias: bool = True
) -> tuple[Tensor, Tensor]:
    """Empty tensors like `backward`'s."""
    like = None if bias is None or not with_bias else bias
    return (
        torch.empty_like(product, memory_format=torch.contiguous_format) if with_input else product.new_empty(0),
        product.new_empty(0) if like is None else torch.empty_like(like, memory_format=torch.contiguous_format),
    )


@opaque("activation_backward", backward_shapes)
def backward(
    dy: Tensor, product: Tensor, bias: Tensor | None, gelu: bool, with_input: bool = True, with_bias: bool = True
) -> tuple[Tensor, Tensor]:
    """(gradient of the product, of the bias); what is not wanted is empty."""
    with_bias = with_bias and bias is not None
    product, grads = product.contiguous(), rows_of(dy)
    dproduct, dbias = backward_shapes(dy, product, bias, gelu, with_input, with_bias)
    count, width = product.shape[:-1].numel(), product.shape[-1]
    config = configs.find(product, "linear_activation", "backward", width)
    blocks, programs = triton.cdiv(width, config.columns), triton.cdiv(count, config.rows)
    if with_bias:
        programs = min(programs, max(1, config.waves * multiprocessors(product) // blocks))
    partial = product.new_empty(programs if with_bias else 0, width, dtype=torch.float32)
    launch(
        activation_backward,
        (programs, blocks),
        config,
        *(grads, product, product if bias is None else bias.contiguous(), dproduct, partial),
        *(count, width, grads.stride(0)),
        GELU=gelu,
        BIAS=bias is not None,
        INPUT=with_input,
        SUMS=with_bias,
        ROWS=config.rows,
        COLUMNS=config.columns,
    )
    if with_bias:
        config = configs.find(partial, "linear_activation", "sums", width)
        launch(
            column_sums,
            (triton.cdiv(width, config.columns), 1),
            config,
            *(partial, dbias, dbias, programs),
            WIDTH=width,
            ROWS=config.rows,
            BLOCK=config.columns,
        )
    return dproduct, dbias
