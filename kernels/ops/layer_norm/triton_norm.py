"""The Triton kernels of layer_norm and add_layer_norm, and the functions that launch them.

Both ops are bound by memory: each pass reads and writes every row once. A program takes several rows, since one row of
GPT-2's width is too little work for it; statistics are fp32. The weight's and bias's gradients are summed in two stages
without atomics, so that they are the same from run to run: each program keeps sums over its rows in registers and
writes one row of partial sums, and a second kernel adds those up.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import launch, multiprocessors, opaque, rows_of

WIDEST = 8192


@triton.jit
@no_type_check
def norm_forward(
    x_ptr,
    residual_ptr,
    weight_ptr,
    bias_ptr,
    y_ptr,
    total_ptr,
    mean_ptr,
    rstd_ptr,
    rows,
    x_stride,
    residual_stride,
    eps,
    WIDTH: tl.constexpr,
    ADD: tl.constexpr,
    BIAS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """y = (s - mean) · rstd · weight + bias for ROWS rows, where s is x, or x + residual rounded to x's dtype and stored."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
    x = tl.load(x_ptr + row[:, None] * x_stride + column[None, :], mask=inside, other=0.0)
    at = row[:, None] * WIDTH + column[None, :]
    if ADD:
        residual = tl.load(residual_ptr + row[:, None] * residual_stride + column[None, :], mask=inside, other=0.0)
        x = (x.to(tl.float32) + residual.to(tl.float32)).to(x.dtype)
        tl.store(total_ptr + at, x, mask=inside)
    x = x.to(tl.float32)
    mean = tl.sum(x, axis=1) / WIDTH
    centred = tl.where(inside, x - mean[:, None], 0.0)
    rstd = tl.rsqrt(tl.sum(centred * centred, axis=1) / WIDTH + eps)
    weight = tl.load(weight_ptr + column, mask=column < WIDTH, other=0.0).to(tl.float32)
    y = centred * rstd[:, None] * weight[None, :]
    if BIAS:
        y += tl.load(bias_ptr + column, mask=column < WIDTH, other=0.0).to(tl.float32)[None, :]
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)
    tl.store(mean_ptr + row, mean, mask=row < rows)
    tl.store(rstd_ptr + row, rstd, mask=row < rows)


@triton.jit
@no_type_check
def load_rows(ptr, stride, row, rows, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """The rows with these numbers; zeros from row `rows` and from column WIDTH on."""
    column = tl.arange(0, BLOCK)
    inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
    return tl.load(ptr + row[:, None] * stride + column[None, :], mask=inside, other=0.0)


@triton.jit
@no_type_check
def norm_backward(
    dy_ptr,
    dtotal_ptr,
    x_ptr,
    weight_ptr,
    mean_ptr,
    rstd_ptr,
    dx_ptr,
    partial_weight_ptr,
    partial_bias_ptr,
    rows,
    dy_stride,
    dtotal_stride,
    x_stride,
    WIDTH: tl.constexpr,
    ADD: tl.constexpr,
    INPUT: tl.constexpr,
    WEIGHT: tl.constexpr,
    BIAS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """dx = rstd · (g - mean(g) - x̂ · mean(g · x̂)) [+ dtotal] with g = dy · weight, and this program's sums of dy · x̂ and dy.

    INPUT, WEIGHT and BIAS say which of the three are wanted.
    """
    column = tl.arange(0, BLOCK)
    weight = tl.load(weight_ptr + column, mask=column < WIDTH, other=0.0).to(tl.float32)
    sum_weight = tl.zeros([ROWS, BLOCK], tl.float32)
    sum_bias = tl.zeros([ROWS, BLOCK], tl.float32)
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    next_dy = load_rows(dy_ptr, dy_stride, row, rows, WIDTH, BLOCK)
    next_x = load_rows(x_ptr, x_stride, row, rows, WIDTH, BLOCK)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        row = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
        dy = next_dy.to(tl.float32)
        x = next_x.to(tl.float32)
        # The next tile is on its way while this one is worked on: else memory would stand idle.
        next_row = row + tl.num_programs(0).to(tl.int64) * ROWS
        next_dy = load_rows(dy_ptr, dy_stride, next_row, rows, WIDTH, BLOCK)
        next_x = load_rows(x_ptr, x_stride, next_row, rows, WIDTH, BLOCK)
        mean = tl.load(mean_ptr + row, mask=row < rows, other=0.0)
        rstd = tl.load(rstd_ptr + row, mask=row < rows, other=0.0)
        normed = tl.where(inside, (x - mean[:, None]) * rstd[:, None], 0.0)
        if WEIGHT:
            sum_weight += dy * normed
        if BIAS:
            sum_bias += dy
        if INPUT:
            g = dy * weight[None, :]
            mean_g = tl.sum(g, axis=1) / WIDTH
            mean_gx = tl.sum(g * normed, axis=1) / WIDTH
            dx = rstd[:, None] * (g - mean_g[:, None] - normed * mean_gx[:, None])
            if ADD:
                dx += load_rows(dtotal_ptr, dtotal_stride, row, rows, WIDTH, BLOCK).to(tl.float32)
            at = row[:, None] * WIDTH + column[None, :]
            tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), mask=inside)
    at = tl.program_id(0) * WIDTH + column
    if WEIGHT:
        tl.store(partial_weight_ptr + at, tl.sum(sum_weight, axis=0), mask=column < WIDTH)
    if BIAS:
        tl.store(partial_bias_ptr + at, tl.sum(sum_bias, axis=0), mask=column < WIDTH)


@triton.jit
@no_type_check
def column_sums(
    partial_ptr, first_ptr, second_ptr, programs, WIDTH: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """The second stage, for BLOCK columns: the sums of one of up to two (programs, WIDTH) matrices."""
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    matrix = partial_ptr + tl.program_id(1) * programs * WIDTH
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    for first in range(0, programs, ROWS):
        row = first + tl.arange(0, ROWS)
        inside = (row < programs)[:, None] & (column < WIDTH)[None, :]
        total += tl.load(matrix + row[:, None] * WIDTH + column[None, :], mask=inside, other=0.0)
    sums = tl.sum(total, axis=0)
    if tl.program_id(1) == 0:
        tl.store(first_ptr + column, sums.to(first_ptr.dtype.element_ty), mask=column < WIDTH)
    else:
        tl.store(second_ptr + column, sums.to(second_ptr.dtype.element_ty), mask=column < WIDTH)


def why_not(x: Tensor) -> str | None:
    """Why the kernels cannot take this x, or None."""
    if x.dtype == torch.float64:
        return "torch.float64 (the kernels compute in fp32)"
    if not 1 <= x.shape[-1] <= WIDEST:
        return f"width {x.shape[-1]}, and a program holds whole rows of 1 to {WIDEST} elements"
    return None


def forward_shapes(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Empty tensors like `forward`'s."""
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    mean, rstd = (x.new_empty(x.shape[:-1].numel(), dtype=torch.float32) for _ in range(2))
    return y, x.new_empty(0) if residual is None else torch.empty_like(y), mean, rstd


@opaque("norm_forward", forward_shapes)
def forward(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(y, x + residual or an empty tensor, mean, rstd); the last two have one fp32 element a row."""
    rows = rows_of(x)
    added = rows if residual is None else rows_of(residual)
    weight, bias = weight.contiguous(), None if bias is None else bias.contiguous()
    count, width = rows.shape
    y, total, mean, rstd = forward_shapes(x, residual, weight, bias, eps)
    config = configs.find(x, "layer_norm", "forward", width)
    launch(
        norm_forward,
        (triton.cdiv(count, config.rows),),
        config,
        *(rows, added, weight, weight if bias is None else bias, y, total, mean, rstd),
        *(count, rows.stride(0), added.stride(0), eps),
        WIDTH=width,
        ADD=residual is not None,
        BIAS=bias is not None,
        ROWS=config.rows,
        BLOCK=triton.next_power_of_2(width),
    )
    return y, total, mean, rstd


def backward_shapes(
    dy: Tensor,
    dtotal: Tensor | None,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    rstd: Tensor,
    bias_dtype: torch.dtype | None,
    with_input: bool = True,
    with_weight: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Empty tensors like `backward`'s."""
    return (
        x.new_empty(x.shape if with_input else 0),
        weight.new_empty(weight.shape if with_weight else 0),
        weight.new_empty(0 if bias_dtype is None else weight.shape, dtype=bias_dtype),
    )


@opaque("norm_backward", backward_shapes)
def backward(
    dy: Tensor,
    dtotal: Tensor | None,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    rstd: Tensor,
    bias_dtype: torch.dtype | None,
    with_input: bool = True,
    with_weight: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """(dx, dweight, dbias); what is not wanted is empty, the bias's where `bias_dtype` is None."""
    rows, grads, weight = rows_of(x), rows_of(dy), weight.contiguous()
    added = grads if dtotal is None else rows_of(dtotal)
    count, width = rows.shape
    config = configs.find(x, "layer_norm", "backward", width)
    programs = min(triton.cdiv(count, config.rows), config.waves * multiprocessors(x))
    dx, dweight, dbias = backward_shapes(dy, dtotal, x, weight, mean, rstd, bias_dtype, with_input, with_weight)
    sums = ([dweight] if with_weight else []) + ([dbias] if bias_dtype is not None else [])
    partial = x.new_empty(max(1, len(sums)), programs if sums else 0, width, dtype=torch.float32)
    launch(
        norm_backward,
        (programs,),
        config,
        *(grads, added, rows, weight, mean, rstd, dx, partial[0], partial[-1]),
        *(count, grads.stride(0), added.stride(0), rows.stride(0)),
        WIDTH=width,
        ADD=dtotal is not None,
        INPUT=with_input,
        WEIGHT=with_weight,
        BIAS=bias_dtype is not None,
        ROWS=config.rows,
        BLOCK=triton.next_power_of_2(width),
    )
    if not sums:
        return dx, dweight, dbias
    config = configs.find(partial, "layer_norm", "sums", width)
    launch(
        column_sums,
        (triton.cdiv(width, config.columns), len(partial)),
        config,
        *(partial, sums[0], sums[-1], programs),
        WIDTH=width,
        ROWS=config.rows,
        BLOCK=config.columns,
    )
    return dx, dweight, dbias


def gradients(
    dy: Tensor,
    dtotal: Tensor | None,
    saved: tuple[Tensor, Tensor, Tensor, Tensor],
    bias_dtype: torch.dtype | None,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """`backward` as autograd wants it: None for what is not wanted. `saved` are x, weight, mean and rstd."""
    with_input, with_weight, with_bias = wanted
    found = backward(dy, dtotal, *saved, bias_dtype if with_bias else None, with_input, with_weight)
    dx, dweight, dbias = (gradient if is_wanted else None for gradient, is_wanted in zip(found, wanted, strict=True))
    return dx, dweight, dbias
