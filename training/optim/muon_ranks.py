"""Distribution of Muon's work on whole matrices: one rank computes each, and sends the result to those that need it.

The matrices are cut into blocks of rows (a packed query-key-value weight is three of them), and blocks of one shape into
units of work. Units depend only on the shapes, so the result is bit-identical for any number of ranks; only the assignment
of units differs. If every rank has the whole matrices, all results are sent in one flat message. If each has only some rows
(FSDP), one message gathers a unit's rows and one scatters them.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.training.ranks.process_group import Ranks

Shape = tuple[int, int]
Solve = Callable[[list[Tensor]], Tensor]
"""Function from matrices of equal or transposed shape to a wide stack (n, short side, long side), in the messages' dtype.
"""


class Block(NamedTuple):
    """Rows `start` to `start + rows` of one of the matrices."""

    matrix: int
    start: int
    rows: int
    columns: int

    @property
    def wide(self) -> Shape:
        """Shape of the block or of its transpose: the long side last."""
        return min(self.rows, self.columns), max(self.rows, self.columns)


class Unit(NamedTuple):
    """Blocks that one rank solves together."""

    blocks: list[Block]
    owner: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return sum(block.rows * block.columns for block in self.blocks)

    @property
    def flops(self) -> float:
        """Floating-point operations to solve it."""
        return len(self.blocks) * newton_schulz_flops(*self.blocks[0].wide)


class Rows(NamedTuple):
    """This rank's rows of a block's result: `values` go to row `start` of its piece of the matrix."""

    matrix: int
    start: int
    values: Float[Tensor, "rows columns"]


@lru_cache
def plan(shapes: tuple[Shape, ...], parts: tuple[int, ...], n_ranks: int, unit_flops: float) -> list[Unit]:
    """Assign units of about `unit_flops` to ranks, the largest first, each to the rank with the least work."""
    stacks: dict[Shape, list[Block]] = {}
    for matrix, ((rows, columns), count) in enumerate(zip(shapes, parts, strict=True)):
        for part in range(count):
            block = Block(matrix, part * (rows // count), rows // count, columns)
            stacks.setdefault(block.wide, []).append(block)
    pieces: list[list[Block]] = []
    for shape, blocks in stacks.items():
        n_units = min(len(blocks), math.floor(newton_schulz_flops(*shape) * len(blocks) / unit_flops)) or 1
        pieces += [blocks[i * len(blocks) // n_units : (i + 1) * len(blocks) // n_units] for i in range(n_units)]
    load = [0.0] * n_ranks
    units = []
    for unit in sorted((Unit(blocks, 0) for blocks in pieces), key=lambda unit: -unit.flops):
        owner = load.index(min(load))
        load[owner] += unit.flops
        units.append(unit._replace(owner=owner))
    return units


def newton_schulz_flops(rows: int, columns: int) -> float:
    """FLOPs of the five steps on a wide matrix: x xᵀ, its square, and their sum times x."""
    return 5.0 * (4 * rows * rows * columns + 2 * rows**3)


def alone(units: list[Unit], matrices: list[Float[Tensor, "_ _"]], solve: Solve) -> list[Rows]:
    """Solve every unit on this rank."""
    results = []
    for unit in units:
        solved = solve([_rows_of(matrices[block.matrix], block) for block in unit.blocks])
        results += [Rows(b.matrix, b.start, _turned(x, b)) for b, x in zip(unit.blocks, solved, strict=True)]
    return results


def replicated(
    units: list[Unit], matrices: list[Float[Tensor, "_ _"]], solve: Solve, dtype: torch.dtype, ranks: Ranks
) -> list[Rows]:
    """Solve each unit on its owner, if every rank has the whole matrices; one message sends all results to all."""
    sizes = [sum(unit.size for unit in units if unit.owner == rank) for rank in range(ranks.size)]
    mine = torch.empty(max(sizes), dtype=dtype, device=matrices[0].device)
    place = 0
    for unit in units:
        if unit.owner == ranks.rank:
            solved = solve([_rows_of(matrices[block.matrix], block) for block in unit.blocks])
            mine[place : place + unit.size] = solved.flatten()
            place += unit.size
    everyone = torch.empty(ranks.size * max(sizes), dtype=dtype, device=mine.device)
    dist.all_gather(list(everyone.chunk(ranks.size)), mine)
    places = [rank * max(sizes) for rank in range(ranks.size)]
    results = []
    for unit in units:
        start = places[unit.owner]
        places[unit.owner] += unit.size
        solved = everyone[start : start + unit.size].view(len(unit.blocks), *unit.blocks[0].wide)
        results += [Rows(b.matrix, b.start, _turned(x, b)) for b, x in zip(unit.blocks, solved, strict=True)]
    return results


def sharded(
    units: list[Unit],
    pieces: list[Float[Tensor, "_ _"]],
    shapes: Sequence[Shape],
    solve: Solve,
    dtype: torch.dtype,
    ranks: Ranks,
) -> list[Rows]:
    """Solve each unit on its owner, if every rank has some rows of each matrix, as with FSDP.

    Args:
        pieces: this rank's rows of each matrix. shapes: shapes of the whole matrices.
    """
    everyone = range(ranks.size)
    owned = [[block for unit in units if unit.owner == rank for block in unit.blocks] for rank in everyone]

    def held(block: Block, rank: int) -> range:
        """The rows of the block that a rank has, relative to its piece of the matrix."""
        each = -(-shapes[block.matrix][0] // ranks.size)
        first = rank * each
        return range(max(block.start, first) - first, max(min(block.start + block.rows, first + each) - first, 0))

    def count(blocks: list[Block], rank: int) -> int:
        return sum(len(held(block, rank)) * block.columns for block in blocks)

    def exchange(data: Float[Tensor, " n"], sent: list[int], received: list[int]) -> list[Float[Tensor, " _"]]:
        result = data.new_empty(sum(received))
        dist.all_to_all_single(result, data, received, sent)
        return list(result.split(received))

    out = [pieces[b.matrix][held(b, ranks.rank).start :][: len(held(b, ranks.rank))] for own in owned for b in own]
    given = [count(owned[rank], ranks.rank) for rank in everyone]  # my rows that a rank solves
    taken = [count(owned[ranks.rank], rank) for rank in everyone]  # a rank's rows that I solve
    arrived = exchange(torch.cat([piece.flatten() for piece in out]), given, taken)
    whole: dict[Block, list[Tensor]] = {block: [] for block in owned[ranks.rank]}
    for rank, data in enumerate(arrived):
        for block, values in zip(whole, _split(data, owned[ranks.rank], held, rank), strict=True):
            whole[block].append(values)
    solved: dict[Block, Tensor] = {}
    for unit in units:
        if unit.owner == ranks.rank:
            stack = solve([torch.cat(whole[block]) for block in unit.blocks])
            solved |= {block: _turned(x, block) for block, x in zip(unit.blocks, stack, strict=True)}
    back = [
        solved[block].split([len(held(block, r)) for r in everyone])[rank].flatten()
        for rank in everyone
        for block in owned[ranks.rank]
    ]
    empty = pieces[0].new_empty(0, dtype=dtype)
    returned = exchange(torch.cat([empty, *back]), taken, given)
    return [
        Rows(block.matrix, held(block, ranks.rank).start, values)
        for rank, data in enumerate(returned)
        for block, values in zip(owned[rank], _split(data, owned[rank], held, ranks.rank), strict=True)
    ]


def _split(
    data: Float[Tensor, " n"], blocks: list[Block], held: Callable[[Block, int], range], rank: int
) -> list[Float[Tensor, "_ _"]]:
    """Split flat values into a rank's rows of each block."""
    sizes = [len(held(block, rank)) * block.columns for block in blocks]
    return [values.view(-1, b.columns) for values, b in zip(data.split(sizes), blocks, strict=True)]


def _rows_of(matrix: Float[Tensor, "_ _"], block: Block) -> Float[Tensor, "_ _"]:
    return matrix[block.start : block.start + block.rows]


def _turned(wide: Float[Tensor, "short long"], block: Block) -> Float[Tensor, "rows columns"]:
    return wide if block.rows <= block.columns else wide.T
