"""The Triton kernels of rms_norm, and the functions that launch them.

Both passes are bound by memory and move each row once. Forward: read x, write y. Backward: read dy and x, write dx, and with a
weight one row of partial sums a program, which layer_norm's second stage adds up without atomics. The statistic is computed
anew in the backward pass, which has the whole row anyway. Queries and keys are read where the packed projection has them,
without a copy, so a row lies at (outer, middle, inner).
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from gpt_from_scratch.kernels.ops.layer_norm.triton_norm import WIDEST, column_sums
from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import launch, multiprocessors, opaque

MOST_ROWS = 2**31 - 2**16


@triton.jit
@no_type_check
def load_rows(ptr, row, rows, middle, inner, stride_0, stride_1, stride_2, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """The rows with these numbers; zeros from row `rows` and from column WIDTH on."""
    outer = row // inner
    at = (outer // middle).to(tl.int64) * stride_0
    at += (outer % middle).to(tl.int64) * stride_1 + (row % inner).to(tl.int64) * stride_2
    column = tl.arange(0, BLOCK)
    inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
    return tl.load(ptr + at[:, None] + column[None, :], mask=inside, other=0.0)


@triton.jit
@no_type_check
def rms_forward(
    x_ptr,
    weight_ptr,
    y_ptr,
    rows,
    x_middle,
    x_inner,
    x_0,
    x_1,
    x_2,
    eps,
    WIDTH: tl.constexpr,
    WEIGHT: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """y = x · rstd [· weight] for ROWS rows, which lie one after another in y."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    x = load_rows(x_ptr, row, rows, x_middle, x_inner, x_0, x_1, x_2, WIDTH, BLOCK).to(tl.float32)
    rstd = tl.rsqrt(tl.sum(x * x, axis=1) / WIDTH + eps)
    y = x * rstd[:, None]
    if WEIGHT:
        y *= tl.load(weight_ptr + column, mask=column < WIDTH, other=0.0).to(tl.float32)[None, :]
    inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
    at = row.to(tl.int64)[:, None] * WIDTH + column[None, :]
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
@no_type_check
def rms_backward(
    dy_ptr,
    x_ptr,
    weight_ptr,
    dx_ptr,
    partial_ptr,
    rows,
    dy_middle,
    dy_inner,
    dy_0,
    dy_1,
    dy_2,
    x_middle,
    x_inner,
    x_0,
    x_1,
    x_2,
    eps,
    WIDTH: tl.constexpr,
    WEIGHT: tl.constexpr,
    INPUT: tl.constexpr,
    SUMS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """dx = rstd · (g - x̂ · mean(g · x̂)) with g = dy [· weight] and x̂ = x · rstd, and this program's sums of dy · x̂.

    INPUT and SUMS say which of the two are wanted.
    """
    column = tl.arange(0, BLOCK)
    if WEIGHT:
        weight = tl.load(weight_ptr + column, mask=column < WIDTH, other=0.0).to(tl.float32)
    sums = tl.zeros([ROWS, BLOCK], tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        row = tile * ROWS + tl.arange(0, ROWS)
        dy = load_rows(dy_ptr, row, rows, dy_middle, dy_inner, dy_0, dy_1, dy_2, WIDTH, BLOCK).to(tl.float32)
        x = load_rows(x_ptr, row, rows, x_middle, x_inner, x_0, x_1, x_2, WIDTH, BLOCK).to(tl.float32)
        rstd = tl.rsqrt(tl.sum(x * x, axis=1) / WIDTH + eps)
        normed = x * rstd[:, None]
        if SUMS:
            sums += dy * normed
        if INPUT:
            g = dy
            if WEIGHT:
                g = dy * weight[None, :]
            along = tl.sum(g * normed, axis=1) / WIDTH
            dx = rstd[:, None] * (g - normed * along[:, None])
            inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
            at = row.to(tl.int64)[:, None] * WIDTH + column[None, :]
            tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), mask=inside)
    if SUMS:
        at = tl.program_id(0) * WIDTH + column
        tl.store(partial_ptr + at, tl.sum(sums, axis=0), mask=column < WIDTH)


def why_not(x: Tensor) -> str | None:
    """Why the kernels cannot take this x, or None."""
    if x.dtype == torch.float64:
        return "torch.float64 (the kernels compute in fp32)"
    if not 1 <= x.shape[-1] <= WIDEST:
        return f"width {x.shape[-1]}, and a program holds whole rows of 1 to {WIDEST} elements"
    if x.shape[:-1].numel() >= MOST_ROWS:
        return f"{x.shape[:-1].numel()} rows, and the kernels count them with 32 bits"
    return None


def order(x: Tensor) -> list[int]:
    """The dimensions before the last, from the one with the largest stride on: in this order rows are numbered."""
    strides = x.stride()
    return sorted(range(x.ndim - 1), key=lambda i: -strides[i])


def dense(x: Tensor) -> Tensor:
    """An empty tensor like x, whose rows lie one after another in `order`."""
    dims = order(x)
    made = x.new_empty(*(x.shape[i] for i in dims), x.shape[-1])
    return made.permute(*(dims.index(i) for i in range(len(dims))), x.ndim - 1)


def places(x: Tensor, dims: list[int]) -> tuple[Tensor, tuple[int, int, int, int, int]]:
    """x, and where its row number r lies: sizes of the middle and inner dimension, strides of outer, middle and inner.

    x is copied only where its elements are apart or its rows lie in more than three dimensions.
    """
    found: list[tuple[int, int]] = []  # size and stride of each dimension, those that can be one joined
    for i in dims:
        size, stride = x.shape[i], x.stride(i)
        if found and found[-1][1] == size * stride:
            found[-1] = (found[-1][0] * size, stride)
        elif size != 1:
            found.append((size, stride))
    if len(found) > 3 or (x.stride(-1) != 1 and x.shape[-1] > 1):
        return x.permute(*dims, x.ndim - 1).contiguous(), (1, max(1, x.shape[:-1].numel()), 0, 0, x.shape[-1])
    (_, first), (middle, second), (inner, third) = [(1, 0)] * (3 - len(found)) + found
    return x, (max(1, middle), max(1, inner), first, second, third)


def forward_shapes(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """An empty tensor like `forward`'s."""
    return dense(x)


@opaque("rms_forward", forward_shapes)
def forward(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """The normalised rows, which lie one after another in the order in which x has them."""
    y = dense(x)
    rows, where = places(x, order(x))
    config = configs.find(x, "rms_norm", "forward", x.shape[-1])
    count = x.shape[:-1].numel()
    launch(
        rms_forward,
        (triton.cdiv(count, config.rows),),
        config,
        *(rows, y if weight is None else weight.contiguous(), y, count, *where, eps),
        WIDTH=x.shape[-1],
        WEIGHT=weight is not None,
        ROWS=config.rows,
        BLOCK=triton.next_power_of_2(x.shape[-1]),
    )
    return y


def backward_shapes(
    dy: Tensor, x: Tensor, weight: Tensor | None, eps: float, with_input: bool = True, with_weight: bool = True
) -> tuple[Tensor, Tensor]:
    """Empty tensors like `backward`'s."""
    like = None if weight is None or not with_weight else weight
    return (
        dense(x) if with_input else x.new_empty(0),
        x.new_empty(0) if like is None else torch.empty_like(like, memory_format=torch.contiguous_format),
    )


@opaque("rms_backward", backward_shapes)
def backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, eps: float, with_input: bool = True, with_weight: bool = True
) -> tuple[Tensor, Tensor]:
    """(dx, dweight); what is not wanted is empty."""
    with_weight = with_weight and weight is not None
    dx, dweight = backward_shapes(dy, x, weight, eps, with_input, with_weight)
    dims, width, count = order(x), x.shape[-1], x.shape[:-1].numel()
    (grads, grads_where), (rows, rows_where) = places(dy, dims), places(x, dims)
    config = configs.find(x, "rms_norm", "backward", width)
    programs = triton.cdiv(count, config.rows)
    if with_weight:
        programs = min(programs, config.waves * multiprocessors(x))
    partial = x.new_empty(programs if with_weight else 0, width, dtype=torch.float32)
    launch(
        rms_backward,
        (programs,),
        config,
        *(grads, rows, dx if weight is None else weight.contiguous(), dx, partial, count),
        *(*grads_where, *rows_where, eps),
        WIDTH=width,
        WEIGHT=weight is not None,
        INPUT=with_input,
        SUMS=with_weight,
        ROWS=config.rows,
        BLOCK=triton.next_power_of_2(width),
    )
    if with_weight:
        config = configs.find(partial, "layer_norm", "sums", width)
        launch(
            column_sums,
            (triton.cdiv(width, config.columns), 1),
            config,
            *(partial, dweight, dweight, programs),
            WIDTH=width,
            ROWS=config.rows,
            BLOCK=config.columns,
        )
    return dx, dweight
