"""Activations inside a GPT, by name: read them out, or put others in their place.

    h.2         the residual stream after block 2
    h.2.mlp     what block 2's MLP adds to the stream
    h.2.attn    what block 2's attention adds to the stream

Shapes: b batch, t tokens, c n_embd.
"""

import contextlib
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.models.gpt import GPT, Block, LayerNorm

Edit = Callable[[Float[Tensor, "b t c"]], Float[Tensor, "b t c"]]
"""Given a site's activations, returns what the model goes on with."""
IGNORED = -100
"""The target of a position that does not count."""


def sites(model: GPT) -> list[str]:
    """The names of all places whose activations can be read and replaced."""
    return [f"h.{layer}{part}" for layer in range(model.config.n_layer) for part in ("", ".attn", ".mlp")]


@contextlib.contextmanager
def edited(model: GPT, site: str, edit: Edit) -> Iterator[None]:
    """In the block, every forward pass of `model` goes on with `edit(x)` in place of the activations x at `site`.

    Raises:
        ValueError: a site that the model does not have; names those it has, and the nearest.
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
        handle = getattr(block, part[0]).register_forward_hook(lambda module, inputs, output: edit(output))
        try:
            yield
        finally:
            handle.remove()
        return
    # The stream is no module's output: the norm that follows adds the block's last branch to it.
    following = model.h[int(layer) + 1] if int(layer) + 1 < len(model.h) else model
    norm = following.ln_1 if isinstance(following, Block) else model.ln_f
    assert isinstance(norm, LayerNorm)

    def after(
        branch: Float[Tensor, "b t c"], x: Float[Tensor, "b t c"]
    ) -> tuple[Float[Tensor, "b t c"], Float[Tensor, "b t c"]]:
        stream = edit(x + branch)
        return norm(stream), stream

    norm.after = after  # type: ignore[method-assign]
    try:
        yield
    finally:
        del norm.after


def batches(sequences: Sequence[Sequence[int]], rows: int) -> Iterator[Int[Tensor, "b t"]]:
    """Sequences of about the same length together, padded at the end with -1."""
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
    """a number for each sequence: equal for neighbours that stand in one text"""


@torch.no_grad()  # not inference_mode: an autoencoder could not be trained on what it makes
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
    """The mean loss of the sequences' tokens after the first, in nats a token."""
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
    """The model's loss, nats a token: as it is, with a reconstruction in a site's place, and with zeros there."""

    clean: float
    spliced: float
    zero: float

    @property
    def recovered(self) -> float:
        """What part of the way from zeros to as it is the reconstruction recovers."""
        return (self.zero - self.spliced) / (self.zero - self.clean)


def splice(model: GPT, site: str, reconstruct: Edit, sequences: Sequence[Sequence[int]]) -> Spliced:
    """Measure the three losses. Raises ValueError as `edited` and `loss` do."""
    clean = loss(model, sequences)
    with edited(model, site, reconstruct):
        spliced = loss(model, sequences)
    with edited(model, site, torch.zeros_like):
        return Spliced(clean, spliced, loss(model, sequences))
