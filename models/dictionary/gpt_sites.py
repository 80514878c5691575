"""Activations inside a GPT, by name: collect or replace them.

    h.2         the residual stream after block 2
    h.2.mlp     what block 2's MLP adds to the stream
    h.2.attn    what block 2's attention adds to the stream

Shapes: b batch, t tokens, c n_embd.
"""

import contextlib
import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gpt_from_scratch.models.gpt import GPT, Block
from gpt_from_scratch.models.layers.norm import Norm

Edit = Callable[[Float[Tensor, "b t c"]], Float[Tensor, "b t c"]]
"""Function from a site's activations to their replacement."""
IGNORED = -100
"""The target of a position that the loss ignores."""


def sites(model: GPT) -> list[str]:
    """Names of all sites whose activations can be collected and replaced."""
    return [f"h.{layer}{part}" for layer in range(model.config.n_layer) for part in ("", ".attn", ".mlp")]


@contextlib.contextmanager
def edited(model: GPT, site: str, edit: Edit) -> Iterator[None]:
    """Context in which forward passes of `model` replace the activations x at `site` by `edit(x)`.

    Raises:
        ValueError: the model has no such site; the message lists the sites and suggests one.
    """
    if site not in sites(model):
        near = difflib.get_close_matches(site, sites(model), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        last = model.config.n_layer - 1
        raise ValueError(
            f"this model has no layer {site!r}: its {last + 1} blocks have h.N (the stream after block N), h.N.attn and "
            f"h.N.mlp, with N from 0 to {last}{hint}"
        )
    _, layer, *part = site.split(".")
    block = model.h[int(layer)]
    assert isinstance(block, Block)
    if part:
        handle = _branch(block, part[0]).register_forward_hook(lambda module, inputs, output: edit(output))
    else:

        def after(module: Block, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            following: Norm | None = inputs[2]
            stream = edit(output[1])
            return stream if following is None else following(stream), stream

        handle = block.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def _branch(block: Block, part: str) -> nn.Module:
    """The module whose output is added to the residual stream: the branch, or the norm after it."""
    if block.norm_place == "before":
        return block.attn if part == "attn" else block.mlp
    return block.ln_1 if part == "attn" else block.ln_2


def batches(sequences: Sequence[Sequence[int]], rows: int) -> Iterator[Int[Tensor, "b t"]]:
    """Batches of sequences of similar length, padded at the end with -1."""
    ordered = sorted(sequences, key=len)
    for start in range(0, len(ordered), rows):
        part = ordered[start : start + rows]
        padded = torch.full((len(part), len(part[-1])), -1)
        for row, sequence in enumerate(part):
            padded[row, : len(sequence)] = torch.tensor(sequence)
        yield padded


@dataclass(frozen=True)
class Collected:
    """The activations of every token of some sequences, one sequence after the other."""

    activations: Float[Tensor, "n c"]
    tokens: Int[Tensor, " n"]
    sequence: Int[Tensor, " n"]
    """a text number for each sequence; equal for neighbouring sequences of one text"""

    @property
    def first(self) -> Bool[Tensor, " n"]:
        """Whether a token is the first of its sequence, whose activations are often much larger than all others."""
        return torch.cat([self.sequence.new_ones(1) > 0, self.sequence[1:] != self.sequence[:-1]])[: len(self.sequence)]

    def without_first(self) -> "Collected":
        """All but the first token of each sequence."""
        kept = ~self.first
        return Collected(self.activations[kept], self.tokens[kept], self.sequence[kept])


@torch.no_grad()  # not inference_mode: an autoencoder cannot be trained on inference tensors
def collect(model: GPT, site: str, sequences: Sequence[Sequence[int]], rows: int = 16) -> Collected:
    """The activations at `site` of every token of the sequences, the shortest sequence first.

    Raises:
        ValueError: no such site, or no token at all.
    """
    found: list[Tensor] = []
    tokens: list[Tensor] = []

    def read(x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        found.append(x)
        return x

    lengths: list[int] = []
    with edited(model, site, read):
        for padded in batches(sequences, rows):
            model.hidden(padded.clamp_min(0))
            real = padded >= 0
            found[-1] = found[-1][real]
            tokens.append(padded[real])
            lengths += real.sum(dim=1).tolist()
    if sum(lengths) == 0:
        raise ValueError("the text is empty: there are no tokens whose activations could be collected")
    sequence = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return Collected(torch.cat(found), torch.cat(tokens), sequence)


@torch.inference_mode()
def loss(model: GPT, sequences: Sequence[Sequence[int]], rows: int = 16) -> float:
    """The mean loss of the sequences' tokens after the first, in nats per token."""
    total, count = 0.0, 0
    for padded in batches(sequences, rows):
        targets = F.pad(padded[:, 1:], (0, 1), value=-1)
        counted = targets >= 0
        total += float(model(padded.clamp_min(0), targets.masked_fill(~counted, IGNORED), reduction="sum"))
        count += int(counted.sum())
    if count == 0:
        raise ValueError("no sequence has two tokens, so there is nothing to predict")
    return total / count


@dataclass(frozen=True)
class Spliced:
    """Losses in nats per token: of the unchanged model, with a reconstruction at a site, and with zeros there."""

    clean: float
    spliced: float
    zero: float

    @property
    def recovered(self) -> float | None:
        """The recovered fraction of the loss between zeros and the unchanged model; None if undefined.

        It is valid only if `meaningless` is empty.
        """
        cost = self.zero - self.clean
        part = (self.zero - self.spliced) / cost if cost else math.nan
        return part if math.isfinite(part) else None

    @property
    def meaningless(self) -> str:
        """The reason why the recovered fraction is meaningless; empty if it is valid.

        Zeros at the site must cost more than `LEAST_COST` nats per token, and the reconstruction's loss must be between
        those of zeros and of the unchanged model, up to `SLACK`.
        """
        if not all(map(math.isfinite, (self.clean, self.spliced, self.zero))):
            return "a loss is not finite: the model or the autoencoder diverged"
        if self.zero - self.clean <= LEAST_COST or (part := self.recovered) is None:
            return "the model is not worse with zeros at this site: on this text there is nothing to recover"
        if part > 1 + SLACK:
            return "the model is better with the reconstruction than unchanged: it has not learned this text"
        return "the reconstruction is worse than zeros" if part < -SLACK else ""


LEAST_COST, SLACK = 1e-4, 0.01


def splice(
    model: GPT, site: str, reconstruct: Edit, sequences: Sequence[Sequence[int]], *, keep_first: bool = False
) -> Spliced:
    """Measure the three losses. Raises ValueError as `edited` and `loss` do.

    keep_first: leave the first token of each sequence as it is, in both replacements.
    """

    def replaced(by: Edit) -> Edit:
        return (lambda x: torch.cat([x[:, :1], by(x[:, 1:])], dim=1)) if keep_first else by

    clean = loss(model, sequences)
    with edited(model, site, replaced(reconstruct)):
        spliced = loss(model, sequences)
    with edited(model, site, replaced(torch.zeros_like)):
        return Spliced(clean, spliced, loss(model, sequences))
