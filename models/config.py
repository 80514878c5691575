"""Settings of the GPT's architecture: GPT-2's by default, with orthogonal switches."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

from gpt_from_scratch.support.command_line.settings import Blocks, Many, check_settings


@dataclass(frozen=True)
class RopeScaling:
    """Scaling of rotary frequencies, for a longer context than the model was trained with."""

    kind: Literal["none", "linear", "llama3", "yarn"] = "none"
    """linear: scale all frequencies (Chen et al. 2023); llama3, yarn: scale the low ones (Peng et al. 2023)."""
    factor: float = 1.0
    """The factor by which frequencies are divided."""
    learned_context: int = 8192
    """The original context; llama3 and yarn count the rotations of a frequency within it."""
    slow_turns: float = 1.0
    """A frequency with fewer rotations is divided by the whole factor."""
    fast_turns: float = 4.0
    """A frequency with more rotations is unchanged; between the two bounds it is interpolated."""
    amplitude: float = 1.0
    """Factor of cosines and sines (yarn's attention factor)."""
    whole_dimensions: bool = True
    """Round yarn's two bounds outwards to whole dimensions."""

    def __str__(self) -> str:
        return self.kind if self.kind == "none" else f"{self.kind} by {self.factor:g}"

    def __post_init__(self) -> None:
        check_settings(self, "rope_scaling.")
        if not self.factor > 0 or not self.amplitude > 0 or self.learned_context < 1:
            raise ValueError("rope_scaling: factor, amplitude and learned_context must be above 0")
        if self.kind in ("llama3", "yarn") and not 0 < self.slow_turns < self.fast_turns:
            raise ValueError(
                f"rope_scaling: slow_turns {self.slow_turns} must be above 0 and below fast_turns {self.fast_turns}"
            )


@dataclass(frozen=True)
class GPTConfig:
    """The architecture. The defaults are GPT-2 124M; `GPT2_SIZES` has the others."""

    block_size: Many = 1024
    """The context length: the maximum number of tokens in a sequence."""
    vocab_size: int = 50257
    """Number of tokens. Training sets it from its tokenizer."""
    n_layer: Blocks = 12
    """Number of blocks."""
    n_head: int = 12
    """Number of query heads; it must divide n_embd."""
    n_embd: Many = 768
    """Width of the residual stream."""
    n_kv_head: int | None = None
    """Number of key-value heads, which must divide n_head (grouped queries); None is n_head."""
    head_dim: Many | None = None
    """Width of one head; None is n_embd / n_head."""
    mlp_width: Many | None = None
    """Width inside the MLP; None is 4 n_embd."""
    position: Literal["learned", "rotary"] = "learned"
    """GPT-2's learned position embeddings, or rotary ones (Su et al. 2021)."""
    rope_base: float = 10_000.0
    """The base of the rotary frequencies: the lowest has a period of about 2π times this many tokens."""
    rope_scaling: RopeScaling = RopeScaling()
    """Scaling of rotary frequencies for a longer context; None: unscaled."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm (Ba et al. 2016), or RMSNorm, without centring and bias (Zhang and Sennrich 2019)."""
    norm_weight: bool = True
    """Whether the norms have weights."""
    norm_eps: float = 1e-5
    """Epsilon of the norms."""
    norm_place: Literal["before", "after"] = "before"
    """Normalise the input of each branch (GPT-2), or its output (OLMo 2)."""
    qk_norm: bool = False
    """RMS-normalise queries and keys before attention (Henry et al. 2020)."""
    qk_norm_over: Literal["head", "heads"] = "head"
    """Normalise each head separately (Qwen 3), or all of them together (OLMo 2)."""
    qk_norm_weight: bool = False
    """Whether the norms of queries and keys have weights."""
    qk_norm_eps: float = 1e-6
    """Epsilon of these norms."""
    activation: Literal["gelu", "relu2", "swiglu"] = "gelu"
    """The MLP's activation: GPT-2's tanh-approximated GELU, the square of ReLU (So et al. 2021), or SwiGLU, whose first
    matrix has twice as many rows (Shazeer 2020).
    """
    zero_init: bool = False
    """Initialise the projections back into the residual stream (and an untied head) to zero."""
    bias: bool = True
    """Biases in linear layers and in layer norms."""
    qkv_bias: bool | None = None
    """Biases of queries, keys and values; None: as `bias`."""
    proj_bias: bool | None = None
    """The bias of attention's output projection; None: as `bias`."""
    mlp_bias: bool | None = None
    """Biases of the MLP; None: as `bias`."""
    tie_head: bool = True
    """Share the output head's weight with the token embedding."""
    ngram: Blocks = 1
    """Add hash embeddings of the last 2, 3, ... up to this many tokens (Pagnoni et al. 2024); 1: none."""
    ngram_buckets: int = 8192
    """Rows of each n-gram embedding table."""
    dropout: float = 0.0
    """Part of the embeddings, and of what each branch adds to the stream, that is zeroed while training. Attention's own
    weights have none: fused kernels never hold them."""
    window: Many | None = None
    """The tokens that a query sees in a layer with a window, itself counted (Beltagy et al. 2020); None: no layer has one."""
    window_pattern: str = "SSSL"
    """Pattern of the layers with the window, repeated from the first layer on: S has it, L sees all earlier tokens."""
    document_mask: bool = False
    """Attention, positions and n-grams stay within a document, which begins with the end-of-text token."""
    end_of_text: int | None = None
    """The token that begins a document; None: the last one. Training takes its tokenizer's."""
    logit_softcap: float | None = None
    """Bound the logits smoothly: cap · tanh(logits / cap) (Gemma Team 2024); None: no bound."""

    SIZES: ClassVar = ("block_size", "vocab_size", "n_layer", "n_head", "n_embd")

    def __post_init__(self) -> None:
        check_settings(self)
        sizes = {name: getattr(self, name) for name in (*self.SIZES, "ngram", "ngram_buckets")}
        for name, size in (sizes | {"n_kv_head": self.kv_heads, "mlp_width": self.mlp_size}).items():
            if not 1 <= size < 2**31:
                raise ValueError(f"{name} must be at least 1 and below 2^31, it is {size}")
        if self.head_dim is None and self.n_embd % self.n_head:
            small = [n for n in range(1, math.isqrt(self.n_embd) + 1) if self.n_embd % n == 0]
            best = min([*small, *(self.n_embd // n for n in small)], key=lambda n: (abs(n - self.n_head), n))
            raise ValueError(f"n_head {self.n_head} must divide n_embd {self.n_embd}; the nearest that does is {best}")
        if not 1 <= self.head_size < 2**31:
            raise ValueError(f"head_dim must be at least 1 and below 2^31, it is {self.head_dim}")
        if self.n_head % self.kv_heads:
            raise ValueError(f"n_kv_head {self.n_kv_head} must divide n_head {self.n_head}")
        if self.position == "rotary" and self.head_size % 2:
            raise ValueError(f"rotary positions need an even head size, n_embd / n_head is {self.head_size}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 or more and below 1, it is {self.dropout}")
        for name in ("norm_eps", "qk_norm_eps", "rope_base"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, it is {getattr(self, name)}")
        self._check_visibility()

    def _check_visibility(self) -> None:
        """Check the settings of windows and of the logits' bound."""
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1 (a query sees itself), it is {self.window}; None: no window")
        if not self.window_pattern or set(self.window_pattern) - {"S", "L"}:
            raise ValueError(
                f"window_pattern must be letters S (the window) and L (all), such as SSSL; it is {self.window_pattern!r}"
            )
        if self.end_of_text is not None and not 0 <= self.end_of_text < self.vocab_size:
            raise ValueError(f"end_of_text must be a token, 0 to {self.vocab_size - 1}, it is {self.end_of_text}")
        if self.logit_softcap is not None and not 0 < self.logit_softcap < math.inf:
            raise ValueError(f"logit_softcap must be above 0 and finite, it is {self.logit_softcap}; None: no bound")

    @property
    def head_size(self) -> int:
        """Width of one head."""
        return self.n_embd // self.n_head if self.head_dim is None else self.head_dim

    @property
    def kv_heads(self) -> int:
        """Number of key-value heads, n_head unless `n_kv_head` says otherwise."""
        return self.n_head if self.n_kv_head is None else self.n_kv_head

    @property
    def mlp_size(self) -> int:
        """Width inside the MLP, 4 n_embd unless `mlp_width` says otherwise."""
        return 4 * self.n_embd if self.mlp_width is None else self.mlp_width

    @property
    def has_qkv_bias(self) -> bool:
        """Whether queries, keys and values have biases."""
        return self.bias if self.qkv_bias is None else self.qkv_bias

    @property
    def has_proj_bias(self) -> bool:
        """Whether attention's output has a bias."""
        return self.bias if self.proj_bias is None else self.proj_bias

    @property
    def has_mlp_bias(self) -> bool:
        """Whether the MLP has biases."""
        return self.bias if self.mlp_bias is None else self.mlp_bias

    @property
    def has_norm_bias(self) -> bool:
        """Whether the norms have biases: an RMSNorm never has."""
        return self.bias and self.norm_weight and self.norm == "layer"

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Each layer's window; None where a query sees all tokens before it."""
        letters = (self.window_pattern * self.n_layer)[: self.n_layer]
        whole = self.window is None or self.window >= self.block_size
        return tuple(None if whole or letter == "L" else self.window for letter in letters)

    @property
    def eot_token(self) -> int:
        """The token that begins a document."""
        return self.vocab_size - 1 if self.end_of_text is None else self.end_of_text

    def canonical(self) -> "GPTConfig":
        """The canonical form of the architecture: unused or redundant settings have their defaults.

        Two models compute the same function of the same weights where these are equal. `zero_init` and `dropout` are left out,
        too.
        """
        # Norms without biases leave `bias` to the parts, which may all have one.
        parts = {name: getattr(self, f"has_{name}") for name in ("qkv_bias", "proj_bias", "mlp_bias")}
        bias = self.bias if self.norm_weight and self.norm == "layer" else all(parts.values())
        short: dict[str, Any] = {"bias": bias, **{name: None if has == bias else has for name, has in parts.items()}}
        plain = {"n_kv_head": self.n_head, "head_dim": self.n_embd / self.n_head, "mlp_width": 4 * self.n_embd}
        unread = {"zero_init", "dropout", *(name for name, value in plain.items() if getattr(self, name) == value)}
        if self.position != "rotary":
            unread |= {"rope_base", "rope_scaling"}
        if not self.qk_norm:
            unread |= {"qk_norm_over", "qk_norm_weight", "qk_norm_eps"}
        if self.ngram == 1:
            unread |= {"ngram_buckets"}
        if not any(self.windows):
            unread |= {"window", "window_pattern"}
        if not self.document_mask or self.end_of_text == self.vocab_size - 1:
            unread |= {"end_of_text"}
        return replace(self, **short, **{name: getattr(GPTConfig, name) for name in unread})

    def beyond_gpt2(self) -> list[str]:
        """The settings, as "name=value", that differ from GPT-2's architecture; empty if there are none."""
        own = self.canonical()
        names = [field.name for field in fields(self) if field.name not in self.SIZES]
        return [f"{name}={getattr(own, name)}" for name in names if getattr(own, name) != getattr(GPTConfig, name)]


GPT2_SIZES: dict[str, GPTConfig] = {
    "gpt2": GPTConfig(),
    "gpt2-medium": GPTConfig(n_layer=24, n_head=16, n_embd=1024),
    "gpt2-large": GPTConfig(n_layer=36, n_head=20, n_embd=1280),
    "gpt2-xl": GPTConfig(n_layer=48, n_head=25, n_embd=1600),
}
