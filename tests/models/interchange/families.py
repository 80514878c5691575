"""Small random models of each family, made with transformers' own classes."""

from typing import Any

import torch
import transformers

SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 50,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GPT2_SIZES: dict[str, Any] = {"vocab_size": 300, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}
NO_DROPOUT = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 16}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama one key-value head": ("Llama", {"num_key_value_heads": 1, "rms_norm_eps": 1e-3}),
    "llama with biases, wide heads, tied": (
        "Llama",
        {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True, "head_dim": 12},
    ),
    "llama scaled": ("Llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500.0, **LLAMA3}}),
    "llama linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}}),
    "llama yarn": ("Llama", {"rope_parameters": YARN}),
    "llama yarn, all said": (
        "Llama",
        {"rope_parameters": YARN | {"beta_fast": 8.0, "beta_slow": 0.5, "attention_factor": 1.5, "truncate": False}},
    ),
    "llama yarn of two scales": ("Llama", {"rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 0.3}}),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 8}),
    "mistral with an idle window": ("Mistral", {"sliding_window": 64}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "qwen3 with biases": ("Qwen3", {"head_dim": 8, "attention_bias": True, "rms_norm_eps": 1e-3}),
    "smollm3 with positions": ("SmolLM3", {"no_rope_layers": [1, 1]}),
    "olmo": ("Olmo", {}),
    "olmo2": ("Olmo2", {"tie_word_embeddings": True}),
    "gpt2": ("GPT2", {}),
    "gpt2 with a head of its own": ("GPT2", {"tie_word_embeddings": False}),
}


def make(family: str, **more: Any) -> transformers.PreTrainedModel:
    """A model with the family's settings, every weight of which matters."""
    kind, settings = FAMILIES[family]
    sizes = GPT2_SIZES | NO_DROPOUT if kind == "GPT2" else SIZES
    config = getattr(transformers, f"{kind}Config")(**{**sizes, **settings, **more})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "norm" in name or ".ln_" in name
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if norm and name.endswith("weight") else 0.0))
    return model
