"""Signals whose true dictionary is known, so that what was learned can be checked against it."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SIDE = 8
"""The images are 8 × 8, so their atoms have 64 entries."""
SHAPES = ("horizontal half", "vertical half", "diagonal", "cross", "box")


def image_dictionary(generator: torch.Generator, n_random: int = 15) -> Float[Tensor, "k 64"]:
    """The five `SHAPES` as 8 × 8 images, then `n_random` random ones; rows of unit norm."""
    shapes = torch.zeros(len(SHAPES), SIDE, SIDE)
    middle, ends = slice(SIDE // 2 - 1, SIDE // 2 + 1), [0, SIDE - 1]
    shapes[0, : SIDE // 2] = 1
    shapes[1, :, : SIDE // 2] = 1
    shapes[2] = torch.eye(SIDE)
    shapes[3, middle] = 1
    shapes[3, :, middle] = 1
    shapes[4, ends] = 1
    shapes[4, :, ends] = 1
    return torch.cat([F.normalize(shapes.flatten(1), dim=1), random_dictionary(n_random, SIDE**2, generator)])


def random_dictionary(n_atoms: int, dim: int, generator: torch.Generator) -> Float[Tensor, "k d"]:
    """Atoms in uniformly random directions, of unit norm."""
    return F.normalize(torch.randn(n_atoms, dim, generator=generator), dim=1)


def sparse_codes(n: int, n_atoms: int, n_nonzero: tuple[int, int], generator: torch.Generator) -> Float[Tensor, "n k"]:
    """Codes with a uniformly random number of non-zeros in a row, from n_nonzero[0] to n_nonzero[1], at uniformly random
    places, with standard normal values."""
    low, high = n_nonzero
    if not 1 <= low <= high <= n_atoms:
        raise ValueError(f"n_nonzero is {n_nonzero}: it is (least, most) with 1 <= least <= most <= {n_atoms} atoms")
    count = torch.randint(low, high + 1, (n, 1), generator=generator)
    place = torch.rand(n, n_atoms, generator=generator).argsort(dim=1)[:, :high]
    values = torch.randn(n, high, generator=generator) * (torch.arange(high) < count)
    return torch.zeros(n, n_atoms).scatter_(1, place, values)


def add_noise(
    signals: Float[Tensor, "n d"], generator: torch.Generator, *, std: float | None = None, snr_db: float = math.inf
) -> Float[Tensor, "n d"]:
    """The signals with white Gaussian noise, of standard deviation `std` or at `snr_db` = 10 log10(energy ratio)."""
    noise = torch.randn(signals.shape, generator=generator)
    if std is None:
        std = float(signals.norm() / noise.norm()) * 10 ** (-snr_db / 20)
    return signals + std * noise
