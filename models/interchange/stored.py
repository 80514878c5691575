"""Mapping of a model's tensors to those of another library's files, from the files' headers."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.weight_files import Entry, read_entries


@dataclass(frozen=True)
class Stored:
    """One tensor of ours in a file: as it is, transposed, or in several of theirs that lie one above the other here."""

    parts: tuple[Entry, ...]
    turned: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Our tensor's shape."""
        first = self.parts[0].shape
        if len(self.parts) > 1:
            return (sum(part.shape[0] for part in self.parts), *first[1:])
        return first[::-1] if self.turned else first


def read(found: Mapping[str, Stored]) -> dict[str, Tensor]:
    """Our tensors by their names here, copied into memory.

    Raises:
        ValueError: as `read_entries` does.
    """
    tensors = read_entries({part.name: part for stored in found.values() for part in stored.parts})

    def joined(stored: Stored) -> Float[Tensor, "..."]:
        parts = [tensors.pop(part.name) for part in stored.parts]
        return torch.cat(parts) if len(parts) > 1 else parts[0].T.contiguous() if stored.turned else parts[0]

    return {name: joined(stored) for name, stored in found.items()}
