"""Tiles of rows and heads in memory, and capped scores: what all kernels of attention share."""

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def load_tile(
    base,
    stride,
    rows,
    D: tl.constexpr,
    FIRST: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    CHECK: tl.constexpr,
):
    """BLOCK rows from `base`, columns FIRST to FIRST + WIDTH; zeros from row `rows` (if CHECK) and from column D on."""
    row = tl.arange(0, BLOCK)
    column = FIRST + tl.arange(0, WIDTH)
    at = base + row[:, None] * stride + column[None, :]
    if FIRST + WIDTH > D:
        if CHECK:
            return tl.load(at, mask=(row < rows)[:, None] & (column < D)[None, :], other=0.0)
        else:
            return tl.load(at, mask=(column < D)[None, :], other=0.0)
    else:
        if CHECK:
            return tl.load(at, mask=(row < rows)[:, None], other=0.0)
        else:
            return tl.load(at)


@triton.jit
@no_type_check
def store_tile(
    base, stride, rows, tile, D: tl.constexpr, FIRST: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    """Store what `load_tile` loads."""
    row = tl.arange(0, BLOCK)
    column = FIRST + tl.arange(0, WIDTH)
    at = base + row[:, None] * stride + column[None, :]
    tl.store(at, tile.to(base.dtype.element_ty), mask=(row < rows)[:, None] & (column < D)[None, :])


@triton.jit
@no_type_check
def tanh(x):
    """tanh to a few units in the last place: by an exponential, and near 0, where that cancels, by its series."""
    square = x * x
    series = x + x * square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315 + square * (62 / 2835))))
    return tl.where(square < 0.0625, series, 1 - 2 / (tl.exp2(x * 2.8853900817779268) + 1))
