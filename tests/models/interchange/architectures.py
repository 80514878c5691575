"""Architectures for the tests of interchange: every switch alone, random combinations, and those of other model types."""

import dataclasses
import random
from typing import Any

from gpt_from_scratch.models.config import GPTConfig, RopeScaling

CONTEXT = 24
CLASSES = {
    "gpt_from_scratch": "GPTFromScratchForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "olmo": "OlmoForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
}
SCALINGS = (
    RopeScaling("linear", 2.0),
    RopeScaling("llama3", 4.0, learned_context=16),
    RopeScaling("yarn", 4.0, learned_context=10, slow_turns=0.2, fast_turns=2.0, amplitude=1.3),
    RopeScaling("yarn", 3.0, learned_context=10, slow_turns=0.2, fast_turns=1.0, whole_dimensions=False),
)
LLAMA: dict[str, Any] = {"position": "rotary", "norm": "rms", "activation": "swiglu", "bias": False}
NORMED = {"qk_norm": True, "qk_norm_weight": True, "qk_norm_eps": 1e-5}
FAMILY: dict[str, tuple[dict[str, Any], ...]] = {
    "llama": (
        LLAMA,
        LLAMA
        | {"head_dim": 6, "mlp_width": 50, "n_kv_head": 2, "qkv_bias": True, "proj_bias": True, "tie_head": False},
        *(LLAMA | {"rope_base": 500.0, "rope_scaling": scaling, "mlp_bias": True} for scaling in SCALINGS),
    ),
    "qwen3": (LLAMA | NORMED | {"head_dim": 12, "bias": True, "mlp_bias": False},),
    "olmo": (LLAMA | {"norm": "layer", "norm_weight": False},),
    "olmo2": (LLAMA | NORMED | {"qk_norm_over": "heads", "norm_place": "after", "n_kv_head": 2},),
}
"""Settings that are exactly those of another model type."""
SWITCHES: tuple[dict[str, Any], ...] = (
    {"position": "rotary"},
    {"qk_norm": True},
    {"activation": "relu2"},
    {"n_kv_head": 2},
    {"n_kv_head": 1},
    {"bias": False},
    {"tie_head": False},
    {"zero_init": True, "tie_head": False},
    {"head_dim": 6},
    {"mlp_width": 50},
    {"position": "rotary", "rope_base": 500.0},
    *({"position": "rotary", "rope_base": 500.0, "rope_scaling": scaling} for scaling in SCALINGS),
    {"norm": "rms"},
    {"norm_eps": 0.1},
    {"norm": "rms", "norm_weight": False, "norm_eps": 0.1},
    {"norm_weight": False},
    {"norm_place": "after"},
    {"qk_norm": True, "qk_norm_weight": True, "qk_norm_eps": 0.1},
    {"qk_norm": True, "qk_norm_over": "heads", "n_kv_head": 2},
    {"qk_norm": True, "qk_norm_over": "heads", "qk_norm_weight": True},
    {"activation": "swiglu"},
    {"qkv_bias": False},
    {"bias": False, "proj_bias": True},
    {"bias": False, "mlp_bias": True},
    {"ngram": 2},
    {"ngram": 3, "ngram_buckets": 97},
    {"ngram": 5, "ngram_buckets": 100_000},
    {"window": 5, "window_pattern": "SL"},
    {"document_mask": True, "end_of_text": 3, "ngram": 3, "position": "rotary", "window": 7, "window_pattern": "S"},
    {"logit_softcap": 0.5},
)


def sized(config: GPTConfig, **switches: Any) -> GPTConfig:
    return dataclasses.replace(config, block_size=CONTEXT, n_layer=2, n_head=4, n_embd=32, **switches)


def combination(rng: random.Random) -> GPTConfig:
    switches: dict[str, Any] = {
        "position": rng.choice(["learned", "rotary"]),
        "qk_norm": rng.random() < 0.5,
        "rope_base": rng.choice([100.0, 10_000.0]),
        "rope_scaling": rng.choice([RopeScaling(), *SCALINGS]),
        "norm": rng.choice(["layer", "rms"]),
        "norm_weight": rng.random() < 0.7,
        "norm_eps": rng.choice([1e-6, 0.01]),
        "norm_place": rng.choice(["before", "after"]),
        "qk_norm_over": rng.choice(["head", "heads"]),
        "qk_norm_weight": rng.random() < 0.5,
        "head_dim": rng.choice([None, 8, 10]),
        "mlp_width": rng.choice([None, 40]),
        **{f"{part}_bias": rng.choice([None, True, False]) for part in ("qkv", "proj", "mlp")},
        "activation": rng.choice(["gelu", "relu2", "swiglu"]),
        "n_kv_head": rng.choice([None, 1, 2, 4]),
        "bias": rng.random() < 0.5,
        "tie_head": rng.random() < 0.5,
        "zero_init": rng.random() < 0.5,
        "ngram": rng.choice([1, 1, 2, 3, 4]),
        "ngram_buckets": rng.choice([7, 512, 200_000]),
        "window": rng.choice([None, 3, 10]),
        "window_pattern": rng.choice(["S", "SL", "LS"]),
        "document_mask": rng.random() < 0.5,
        "end_of_text": rng.choice([None, 2]),
        "logit_softcap": rng.choice([None, 2.0]),
    }
    return sized(GPTConfig(), **switches)
