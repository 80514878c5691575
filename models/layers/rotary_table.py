"""The table of rotary positions, with frequency scaling for a longer context."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.config import RopeScaling

UNSCALED = RopeScaling()


def rotary_table(
    length: int, head_size: int, base: float = 10_000.0, scaling: RopeScaling = UNSCALED
) -> Float[Tensor, "2 t half"]:
    """Cosines and sines of position · frequency, on the CPU.

    The angles are fp32, as in the programs that trained the models which are imported: exact ones would differ from those by
    a thousandth at position 10,000.
    """
    angle = torch.outer(torch.arange(length, device="cpu").float(), frequencies(head_size, base, scaling))
    return torch.stack([angle.cos(), angle.sin()]) * scaling.amplitude


def frequencies(head_size: int, base: float, scaling: RopeScaling = UNSCALED) -> Float[Tensor, " half"]:
    """The frequency of each pair of a head: base^(-2i/d), scaled by `scaling`."""
    original = 1.0 / base ** (torch.arange(0, head_size, 2, device="cpu").float() / head_size)
    if scaling.kind == "none":
        return original
    kept = _kept(original, head_size, base, scaling)
    return kept * original + (1 - kept) * original / scaling.factor


def _kept(
    original: Float[Tensor, " half"], head_size: int, base: float, scaling: RopeScaling
) -> Float[Tensor, " half"]:
    """The unscaled part of each frequency, from 0 to 1."""
    if scaling.kind == "linear":
        return torch.zeros_like(original)
    if scaling.kind == "llama3":
        turns = scaling.learned_context / (2 * math.pi / original)
        return ((turns - scaling.slow_turns) / (scaling.fast_turns - scaling.slow_turns)).clamp(0, 1)

    def pair(turns: float) -> float:
        """The index of the pair, as a real number, with this many rotations in the original context."""
        return head_size * math.log(scaling.learned_context / (turns * 2 * math.pi)) / (2 * math.log(base))

    first, last = pair(scaling.fast_turns), pair(scaling.slow_turns)
    if scaling.whole_dimensions:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_size - 1)
    if first == last:
        last += 0.001  # a step
    return 1 - ((torch.arange(head_size // 2, device="cpu").float() - first) / (last - first)).clamp(0, 1)
