"""A feature of a sparse autoencoder: how often it fires, on which tokens, and where most."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.dictionary.gpt_sites import Collected

NAMED = 4
"""Tokens that name a feature, at most."""


@dataclass(frozen=True)
class Feature:
    """One feature: how often it fires, how strongly, on which tokens, and where most."""

    index: int
    density: float
    """part of the tokens on which it fires"""
    strongest: float
    tokens: tuple[tuple[int, float], ...]
    """the ids on which it fires most in all, each with its part of all that the feature fires"""
    peaks: tuple[int, ...]
    """the tokens (places in the collected text) on which it fires most, each in another sequence"""


def strongest_features(
    codes: Float[Tensor, "n m"], collected: Collected, count: int, examples: int = 6
) -> list[Feature]:
    """The `count` features that fire most often (0: all that fire), each with its strongest examples."""
    fires = (codes > 0).float().mean(dim=0)
    order = [index for index in fires.argsort(descending=True).tolist() if fires[index] > 0]
    ids, kind = collected.tokens.unique(return_inverse=True)
    features = []
    for index in order[:count] if count else order:
        column = codes[:, index].clamp_min(0)
        peaks: dict[int, int] = {}  # the first, strongest place of each sequence
        for place in column.topk(min(len(column), 40 * examples)).indices.tolist():
            if column[place] > 0 and len(peaks) < examples:
                peaks.setdefault(int(collected.sequence[place]), place)
        parts = torch.zeros(len(ids)).index_add(0, kind, column) / column.sum()
        named = [place for place in parts.topk(min(len(ids), NAMED)).indices.tolist() if parts[place] > 0]
        tokens = tuple((int(ids[place]), float(parts[place])) for place in named)
        features.append(Feature(index, float(fires[index]), float(column.max()), tokens, tuple(peaks.values())))
    return features
