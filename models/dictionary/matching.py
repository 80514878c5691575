"""Comparison of a learned dictionary with the true one: the one-to-one match of their atoms, and scores.

Atoms are learned in any order and with either sign, so they are compared by |cosine|. Three scores are needed, since 0.98
of the variance can be explained with only one atom in five recovered: mean max cosine similarity, atoms recovered, and
variance explained.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

RECOVERED = 0.99
"""A true atom counts as recovered when its partner's |cosine| is larger (the distance below 0.01 of Aharon et al.)."""


def linear_assignment(cost: Float[np.ndarray, "r c"]) -> Int[np.ndarray, " r"]:
    """The column of each row, all different, with the smallest total cost; exact, O(r² c).

    The Hungarian method with potentials, one shortest augmenting path a row (Kuhn 1955; Jonker & Volgenant 1987).
    Raises ValueError if there are fewer columns than rows, or a cost is not finite.
    """
    rows, columns = cost.shape
    if columns < rows:
        raise ValueError(f"{rows} rows cannot each have one of {columns} columns: pass the transposed cost")
    if not np.isfinite(cost).all():
        raise ValueError("a cost is NaN or infinite: give forbidden pairs a large finite cost")
    row_of = np.full(columns + 1, -1)  # the last column is a stand-in where each new row's path starts
    row_price, column_price = np.zeros(rows), np.zeros(columns + 1)
    for row in range(rows):
        row_of[columns] = row
        here = columns
        slack, previous = np.full(columns, np.inf), np.full(columns, columns)
        reached = np.zeros(columns + 1, dtype=bool)
        while row_of[here] >= 0:
            reached[here] = True
            open_columns = ~reached[:columns]
            reduced = cost[row_of[here]] - row_price[row_of[here]] - column_price[:columns]
            nearer = open_columns & (reduced < slack)
            slack[nearer], previous[nearer] = reduced[nearer], here
            here = int(np.where(open_columns, slack, np.inf).argmin())
            # Shift the prices so that the nearest column's reduced cost becomes 0 and the tree's stay 0.
            step = slack[here]
            row_price[row_of[reached]] += step
            column_price[reached] -= step
            slack[open_columns] -= step
        while here != columns:  # flip the path: every column takes over the row of the one before it
            row_of[here] = row_of[previous[here]]
            here = previous[here]
    assignment = np.empty(rows, dtype=np.int64)
    taken = np.flatnonzero(row_of[:columns] >= 0)
    assignment[row_of[taken]] = taken
    return assignment


@dataclass(frozen=True)
class Match:
    """The learned atom that belongs to each true atom: its index, its sign and the |cosine| of the two."""

    index: Int[Tensor, " k"]
    sign: Float[Tensor, " k"]
    cosine: Float[Tensor, " k"]

    def align(self, learned: Float[Tensor, "m d"]) -> Float[Tensor, "k d"]:
        """The learned atoms in the order and with the signs of the true ones."""
        return learned[self.index] * self.sign[:, None]

    @property
    def recovered(self) -> int:
        """True atoms whose partner's |cosine| is above `RECOVERED`."""
        return int((self.cosine > RECOVERED).sum())


def match_atoms(true: Float[Tensor, "k d"], learned: Float[Tensor, "m d"]) -> Match:
    """Pair every true atom with a learned atom of its own, so that the sum of |cosine| is largest.

    Raises ValueError if fewer atoms were learned than there are true ones.
    """
    if len(learned) < len(true):
        raise ValueError(f"{len(learned)} learned atoms cannot match {len(true)} true ones: learn at least {len(true)}")
    cosine = cosines(true, learned)
    index = torch.from_numpy(linear_assignment(-cosine.abs().double().cpu().numpy())).to(cosine.device)
    paired = cosine.gather(1, index[:, None])[:, 0]
    return Match(index, torch.where(paired < 0, -1.0, 1.0).to(paired.dtype), paired.abs())


def mean_max_cosine(true: Float[Tensor, "k d"], learned: Float[Tensor, "m d"]) -> float:
    """MMCS: the mean over the true atoms of the largest |cosine| with any learned atom (two may share one)."""
    return float(cosines(true, learned).abs().amax(dim=1).mean())


def cosines(a: Float[Tensor, "k d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "k m"]:
    """The cosine of every row of `a` with every row of `b`; 0 for a zero row."""
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


def variance_explained(signals: Float[Tensor, "n d"], reconstruction: Float[Tensor, "n d"]) -> float:
    """1 - ||signals - reconstruction||² / ||signals - mean signal||²: 1 is perfect, 0 is what the mean alone gives."""
    left = (signals - reconstruction).square().sum()
    total = (signals - signals.mean(dim=0)).square().sum()
    if total == 0:
        raise ValueError("the signals do not vary, so there is no variance to explain: give more than one signal")
    return float(1 - left / total)
