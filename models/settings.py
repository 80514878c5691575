"""The settings of the course's models and of sampling, importable without torch for --help and checks.

Each model's own file has its mathematics, and names its settings, too; the GPT's are in `config.py`.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from gpt_from_scratch.support.command_line.settings import Blocks, Many, check_settings

Precision = Literal["f32", "q8_0", "q4_0"]
"""Precision of a GGUF file's weights: unchanged, or quantized to 8 or 4 bits."""


Stage = Literal[
    "bigram", "position", "head", "multi-head", "feed-forward", "blocks", "residual", "layernorm", "dropout"
]
STAGES: tuple[Stage, ...] = get_args(Stage)
ADDS: dict[Stage, str] = {
    "bigram": "a table of logits",
    "position": "position embeddings",
    "head": "one head of attention",
    "multi-head": "several smaller heads",
    "feed-forward": "a layer for each token",
    "blocks": "both, several times",
    "residual": "a stream to add to",
    "layernorm": "a norm before each layer",
    "dropout": "dropout into the stream",
}
"""The part that each stage adds."""


Layer = Literal["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
LAYERS: tuple[Layer, ...] = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
"""The linear layers of a block."""


@dataclass(frozen=True)
class BigramConfig:
    """Model sizes; the defaults are those of the lecture's small model. A stage ignores settings of later stages."""

    vocab_size: Many = 65
    """Number of tokens. Training sets it from its tokenizer."""
    block_size: Many = 8
    """The context length in tokens."""
    n_embd: Many = 32
    """Width of the residual stream."""
    n_head: Blocks = 4
    """Number of heads; it must divide n_embd."""
    n_layer: Blocks = 4
    """Number of blocks."""
    dropout: float = 0.1
    """Fraction of each projection's outputs that is set to zero in training."""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("vocab_size", "block_size", "n_embd", "n_head", "n_layer"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, it is {getattr(self, name)}")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head {self.n_head} must divide n_embd {self.n_embd}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}: it is a fraction, 0 or more and below 1")


@dataclass(frozen=True)
class KSVDConfig:
    """Settings of K-SVD."""

    n_atoms: Many = 20
    """number of atoms in the dictionary; at most the number of signals"""
    n_nonzero: Many = 3
    """maximum number of atoms per signal"""
    iterations: Many = 60
    """rounds of coding and atom updates in one restart"""
    restarts: Many = 2
    """number of independent starts; the one with the smallest reconstruction error is kept"""
    split_every: int = 20
    """iterations between splits: an atom that represents two is split, and the weakest atom is dropped; 0: never"""
    split_fraction: float = 0.05
    """fraction of the atoms that are split each time (at least one, at most half)"""
    dead_below: float = 0.05
    """an atom used by less than this fraction of its fair share of signals (signals * n_nonzero / n_atoms) is replaced; 0:
    only one that no signal uses
    """
    duplicate_above: float = 0.9
    """an atom whose |cosine| with another atom is larger is replaced; 1 keeps duplicates"""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("n_atoms", "n_nonzero", "iterations", "restarts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if self.n_nonzero > self.n_atoms:
            raise ValueError(
                f"n_nonzero is {self.n_nonzero}, but there are only {self.n_atoms} atoms to choose from: "
                "lower n_nonzero or raise n_atoms"
            )
        if self.split_every < 0:
            raise ValueError(f"split_every is {self.split_every}: give a number of iterations, or 0 for no splits")
        for name in ("split_fraction", "dead_below", "duplicate_above"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it is a fraction, from 0 to 1")


@dataclass(frozen=True)
class SparseAutoencoderConfig:
    """Settings of a sparse autoencoder."""

    n_features: Many = 512
    """number of features; at most the number of activations"""
    kind: Literal["topk", "l1"] = "topk"
    """the method that makes codes sparse"""
    k: Many = 32
    """for topk: number of nonzero codes per activation"""
    l1: float = 0.03
    """for l1: weight of the penalty on the sum of an activation's codes, with the activations' variance scaled to 1"""
    steps: int = 2000
    """optimizer steps"""
    batch_size: Many = 1024
    """activations per step, drawn at random"""
    lr: float = 4e-3
    """peak learning rate (Adam); it falls to 0 over the last third"""
    dead_after: int = 20
    """steps without firing after which a feature is dead; dead features are replaced at this interval, in the first 85 % of
    the run
    """

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("n_features", "k", "steps", "batch_size", "dead_after"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if self.k > self.n_features:
            raise ValueError(
                f"k is {self.k}, but there are only {self.n_features} features: lower k or raise n_features"
            )
        for name in ("l1", "lr"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be above 0")


@dataclass(frozen=True)
class LoRAConfig:
    """Low-rank adaptation (Hu et al. 2021): the weights of --init-from stay, and thin matrices beside them learn."""

    rank: Many = 0
    """Rank of the low-rank matrices, for example 16; 0: none, every weight is trained."""
    alpha: float | None = None
    """Scale: the update is multiplied by alpha / rank; default: twice the rank."""
    targets: tuple[Layer, ...] = LAYERS
    """The layers of every block that are adapted: those that make queries, keys and values, attention's output, and the two of
    the MLP."""

    @property
    def scale(self) -> float:
        """Alpha, as it was given or by default."""
        return 2.0 * self.rank if self.alpha is None else self.alpha

    def __post_init__(self) -> None:
        check_settings(self, "lora.")
        if self.rank < 0:
            raise ValueError(f"lora.rank must be 0 or more, it is {self.rank}")
        if self.alpha is not None and not self.alpha > 0:
            raise ValueError(f"lora.alpha must be above 0, it is {self.alpha}")
        if not self.targets:
            raise ValueError(f"lora.targets is empty: give some of {', '.join(LAYERS)}")


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Check sampling settings; their meaning is documented in `models.generation.sampling.Sampling`.

    Raises:
        ValueError: one of them is out of its range.
    """
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be at least 0 and finite, it is {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, it is {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, it is {top_p}")
