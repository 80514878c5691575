"""The settings of the GPT in modeling_gpt_from_scratch.py, the table of its rotary positions, and what each token sees."""

import functools
import math
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.modeling_outputs import CausalLMOutputWithPast

# The field of the outputs that holds the cache, which transformers has renamed.
CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"
GPT2: dict[str, Any] = {
    "block_size": 1024,
    "vocab_size": 50257,
    "n_layer": 12,
    "n_head": 12,
    "n_embd": 768,
    "n_kv_head": None,
    "head_dim": None,
    "mlp_width": None,
    "position": "learned",
    "rope_base": 10000.0,
    "rotary_scaling": None,
    "norm": "layer",
    "norm_weight": True,
    "norm_eps": 1e-05,
    "norm_place": "before",
    "qk_norm": False,
    "qk_norm_over": "head",
    "qk_norm_weight": False,
    "qk_norm_eps": 1e-06,
    "activation": "gelu",
    "zero_init": False,
    "tie_head": True,
    "bias": True,
    "qkv_bias": None,
    "proj_bias": None,
    "mlp_bias": None,
    "ngram": 1,
    "ngram_buckets": 8192,
    "dropout": 0.0,
    "window": None,
    "window_pattern": "SSSL",
    "document_mask": False,
    "end_of_text": None,
    "logit_softcap": None,
}
"""Every setting, as GPT-2 has it."""


class GPTFromScratchConfig(PreTrainedConfig):
    """The architecture; the defaults are GPT-2's."""

    model_type = "gpt_from_scratch"
    attribute_map = {  # noqa: RUF012 (as transformers declares it)
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "max_position_embeddings": "block_size",
    }
    keys_to_ignore_at_inference = [CACHE]  # noqa: RUF012

    def __init__(self, use_cache: bool = True, **kwargs: Any) -> None:
        own = {name: kwargs.pop(name, default) for name, default in GPT2.items()}
        super().__init__(**{**kwargs, "tie_word_embeddings": own["tie_head"]})
        for name, value in own.items():
            setattr(self, name, value)
        if self.position not in ("learned", "rotary"):
            raise ValueError(f"position is {self.position!r}: this file knows learned and rotary positions only")
        self.use_cache = use_cache

    @property
    def head_size(self) -> int:
        """Width of one head."""
        return int(self.head_dim or self.n_embd // self.n_head)

    @property
    def num_key_value_heads(self) -> int:
        """Number of key-value heads."""
        return int(self.n_kv_head or self.n_head)

    @property
    def intermediate_size(self) -> int:
        """Width inside the MLP."""
        return int(self.mlp_width or 4 * self.n_embd)

    @property
    def windows(self) -> list[int | None]:
        """How many tokens a query sees in each layer, itself counted; None: all before it."""
        letters = (self.window_pattern * self.n_layer)[: self.n_layer]
        return [self.window if letter == "S" else None for letter in letters]

    @property
    def eot_token(self) -> int:
        """The token that begins a document."""
        return int(self.vocab_size - 1 if self.end_of_text is None else self.end_of_text)

    def has_bias(self, part: str) -> bool:
        """Whether a part ("qkv", "proj" or "mlp") has biases, by its own switch or else by that for all."""
        own = getattr(self, f"{part}_bias")
        return bool(self.bias if own is None else own)


@functools.lru_cache(maxsize=4)
def rotary_table(
    length: int, head_size: int, device: torch.device, base: float, scaling: tuple[tuple[str, Any], ...]
) -> Tensor:
    """Cosines and sines (2, length, d/2) of position · frequency; no buffer, since those of a model are read with it."""
    with torch.inference_mode(False), torch.device("cpu"):  # it is kept, and training may come later
        settings = dict(scaling)
        frequency = 1.0 / base ** (torch.arange(0, head_size, 2).float() / head_size)
        if settings["kind"] != "none":
            kept = kept_part(frequency, head_size, base, **settings)
            frequency = kept * frequency + (1 - kept) * frequency / settings["factor"]
        angle = torch.outer(torch.arange(length).float(), frequency)
        table: Tensor = torch.stack([angle.cos(), angle.sin()]) * settings.get("amplitude", 1.0)
        return table.to(device)


def kept_part(
    frequency: Tensor,
    head_size: int,
    base: float,
    kind: str,
    learned_context: int,
    slow_turns: float,
    fast_turns: float,
    whole_dimensions: bool,
    **_: Any,
) -> Tensor:
    """How much (d/2) of each frequency stays as it was learned, from 0 to 1; the rest is slowed."""
    if kind == "linear":
        return torch.zeros_like(frequency)
    if kind == "llama3":
        turns = learned_context / (2 * math.pi / frequency)
        return ((turns - slow_turns) / (fast_turns - slow_turns)).clamp(0, 1)
    first, last = (
        head_size * math.log(learned_context / (turns * 2 * math.pi)) / (2 * math.log(base))
        for turns in (fast_turns, slow_turns)
    )
    if whole_dimensions:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_size - 1)
    return 1 - ((torch.arange(head_size // 2) - first) / max(last - first, 0.001)).clamp(0, 1)


def documents_and_positions(begins: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The document (b, k) of each token, and its position there without padding, of where documents begin."""
    places = torch.arange(begins.shape[1], device=begins.device).expand_as(begins)
    if attention_mask is not None:
        places = (attention_mask.long().cumsum(1) - 1).clamp(min=0)
    return begins.cumsum(1), places - torch.where(begins, places, 0).cummax(1).values


def visible_keys(
    t: int,
    past: int,
    attention_mask: Tensor | None,
    documents: Tensor | None,
    window: int | None,
    device: torch.device,
) -> Tensor | None:
    """Which of the keys each of the last t tokens sees, (1 or b, 1, t, k); None where that is all up to itself."""
    if window is not None and window >= past + t:
        window = None
    if attention_mask is None and documents is None and window is None and (past == 0 or t == 1):
        return None
    keys = torch.arange(past + t, device=device)
    queries = keys[past:].unsqueeze(1)
    visible = (keys <= queries).unsqueeze(0)
    if window is not None:
        visible = visible & (keys > queries - window)
    if documents is not None:
        visible = visible & (documents[:, past:, None] == documents[:, None, :])
    if attention_mask is not None:  # padding sees itself, since a softmax over nothing is not a number
        visible = visible & attention_mask.unsqueeze(1) | (keys == queries)
    return visible.unsqueeze(1)
