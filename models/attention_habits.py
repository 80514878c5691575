"""The habits of attention heads: to which token, of the few kinds that heads are known for, each gives its attention.

Heads that look at the token before, and heads that look at what followed an earlier copy of a token (induction heads), are
those of Olsson et al. 2022, In-context Learning and Induction Heads.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

HABITS = {
    "before": "the token before",
    "first": "the first token",
    "itself": "the token itself",
    "copies": "earlier copies of the token",
    "after copies": "what followed earlier copies of the token",
}
"""Each habit, and what such a head looks at."""
MUCH = 0.25
"""The share of a head's attention from which it has a habit."""


class Habit(NamedTuple):
    """The main attention pattern of a head on a text."""

    layer: int
    head: int
    name: str | None
    """A key of `HABITS`; None where no kind of token gets much."""
    share: float
    """The attention that goes there, averaged over the tokens that have such a place to look at."""
    tokens: float
    """Over how many tokens the attention is spread: the exponential of its entropy, averaged."""

    @property
    def sentence(self) -> str:
        """The habit in words."""
        if self.name is None:
            return f"Spreads its attention over {self.tokens:.1f} tokens."
        return f"Looks at {HABITS[self.name]}: {self.share:.0%} of its attention."


def places(tokens: Sequence[int]) -> dict[str, Bool[Tensor, "t t"]]:
    """For each habit, the places of a map (row: the token that looks) that belong to it."""
    ids = torch.tensor(list(tokens))
    row, column = torch.arange(len(ids))[:, None], torch.arange(len(ids))[None]
    copies = (ids[:, None] == ids[None]) & (column < row)
    after = torch.zeros_like(copies)
    after[:, 1:] = copies[:, :-1]
    return {
        "before": column == row - 1,
        "first": (column == 0) & (row > 1),
        "itself": (column == row) & (row > 0),
        "copies": copies,
        "after copies": after & (column < row),
    }


def habits(maps: Float[Tensor, "layer h t t"], tokens: Sequence[int]) -> list[Habit]:
    """Every head's habit: the kind of token that gets most of its attention, by layer and head.

    Args:
        maps: of `attention_maps` on the tokens.
    """
    spread = torch.special.entr(maps).sum(-1).mean(-1).exp()
    shares = {}
    for name, where in places(tokens).items():
        rows = where.any(-1)  # those that have such a place
        if rows.any():
            shares[name] = (maps * where).sum(-1)[..., rows].mean(-1)
    found = []
    for layer, head in torch.cartesian_prod(*map(torch.arange, maps.shape[:2])).tolist():
        best = max(shares, key=lambda name: float(shares[name][layer, head]), default=None)
        share = 0.0 if best is None else float(shares[best][layer, head])
        found.append(Habit(layer, head, best if share >= MUCH else None, share, float(spread[layer, head])))
    return found


def most_telling(found: Sequence[Habit], count: int) -> list[Habit]:
    """The heads with the most marked habits, one of each habit before a second of any; by layer and head."""
    ranks: dict[str | None, int] = {}
    ordered = []
    for one in sorted(found, key=lambda one: -one.share):
        ordered.append((ranks.setdefault(one.name, 0), -one.share, one))
        ranks[one.name] += 1
    return sorted(one for _, _, one in sorted(ordered, key=lambda entry: entry[:2])[:count])
