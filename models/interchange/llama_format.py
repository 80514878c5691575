"""The Llama family as transformers writes it: Llama, Mistral, Qwen 2 and 3, SmolLM 3, OLMo 1 and 2 in our settings.

Their files have separate matrices for queries, keys and values, and for the MLP's gate and input. Here these are stacked in
one matrix. An unsupported feature of a config is an error, which names it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.interchange.fields import ConfigFields
from gpt_from_scratch.models.interchange.rope_fields import describe_rope, read_rope
from gpt_from_scratch.models.interchange.stored import Stored
from gpt_from_scratch.models.weight_files import Entry

OUTSIDE = {"wte": "model.embed_tokens", "ln_f": "model.norm", "lm_head": "lm_head"}
INSIDE = {
    "attn.c_attn": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.c_proj": ("self_attn.o_proj",),
    "attn.ln_q": ("self_attn.q_norm",),
    "attn.ln_k": ("self_attn.k_norm",),
    "mlp.c_fc": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.c_proj": ("mlp.down_proj",),
}
NORMS = {
    "before": {"ln_1": ("input_layernorm",), "ln_2": ("post_attention_layernorm",)},
    "after": {"ln_1": ("post_attention_layernorm",), "ln_2": ("post_feedforward_layernorm",)},
}
_BUFFER = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.\w+")


def read_config(fields: ConfigFields) -> GPTConfig:
    """The architecture that the config.json of one of the family describes.

    Raises:
        ValueError: a field is missing, of a wrong type, or asks for what is not supported, by name.
    """
    kind = fields.described["model_type"]
    context, heads = (fields.required(name, int) for name in ("max_position_embeddings", "num_attention_heads"))
    fields.only("hidden_act", "silu", "swish", of="ours")
    fields.only("quantization_config", None, of="ours")
    if windows := set(fields.given("layer_types", list[str] | None, None) or []) - {"full_attention"}:
        raise fields.error(f"layer_types has {min(windows)!r}, every layer of ours is 'full_attention'")
    return GPTConfig(
        **{
            "block_size": context,
            "vocab_size": fields.required("vocab_size", int),
            "n_layer": fields.required("num_hidden_layers", int),
            "n_head": heads,
            "n_embd": fields.required("hidden_size", int),
            "n_kv_head": fields.given("num_key_value_heads", int | None, None),
            "head_dim": fields.given("head_dim", int | None, None),
            "mlp_width": fields.required("intermediate_size", int),
            "position": "rotary",
            "norm": "rms",
            "norm_eps": fields.given("rms_norm_eps", float, 1e-6),
            "activation": "swiglu",
            "bias": False,
            "tie_head": fields.given("tie_word_embeddings", bool, kind == "smollm3"),
            **read_rope(fields, 2_000_000.0 if kind == "smollm3" else 10_000.0, context),
            **FAMILY[kind](fields),
        }
    )


def _llama(fields: ConfigFields) -> dict[str, Any]:
    return _attention_bias(fields) | {"mlp_bias": fields.given("mlp_bias", bool, False)}


def _mistral(fields: ConfigFields) -> dict[str, Any]:
    _no_window(fields, fields.described.get("sliding_window", 4096))
    fields.required("num_key_value_heads", int | None)
    return {}


def _qwen2(fields: ConfigFields) -> dict[str, Any]:
    if fields.given("use_sliding_window", bool, False) and "layer_types" not in fields.described:
        _no_window(fields, fields.described.get("sliding_window", 4096))
    fields.required("num_key_value_heads", int | None)
    return {"qkv_bias": True}


def _qwen3(fields: ConfigFields) -> dict[str, Any]:
    norms = {"qk_norm": True, "qk_norm_weight": True, "qk_norm_eps": fields.given("rms_norm_eps", float, 1e-6)}
    return _qwen2(fields) | norms | _attention_bias(fields) | {"head_dim": fields.given("head_dim", int, 128)}


def _smollm3(fields: ConfigFields) -> dict[str, Any]:
    layers = fields.required("num_hidden_layers", int)
    every = fields.given("no_rope_layer_interval", int, 4)
    turned = fields.given("no_rope_layers", list[int] | None, None) or [(n + 1) % every for n in range(layers)]
    if not all(turned):
        raise fields.error(f"no_rope_layers: layer {turned.index(0)} has no positions, every layer of ours has them")
    return _llama(fields)


def _olmo(fields: ConfigFields) -> dict[str, Any]:
    fields.only("clip_qkv", None, of="ours")
    return _attention_bias(fields) | {"norm": "layer", "norm_weight": False, "norm_eps": 1e-5}


def _olmo2(fields: ConfigFields) -> dict[str, Any]:
    eps = fields.given("rms_norm_eps", float, 1e-5)
    norms = {"qk_norm": True, "qk_norm_over": "heads", "qk_norm_weight": True, "qk_norm_eps": eps, "norm_eps": eps}
    return _attention_bias(fields) | norms | {"norm_place": "after"}


FAMILY: dict[str, Callable[[ConfigFields], dict[str, Any]]] = {
    "llama": _llama,
    "mistral": _mistral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "smollm3": _smollm3,
    "olmo": _olmo,
    "olmo2": _olmo2,
}
"""Settings of each model type that differ from Llama's; unsupported ones raise."""


def _attention_bias(fields: ConfigFields) -> dict[str, Any]:
    return dict.fromkeys(("qkv_bias", "proj_bias"), fields.given("attention_bias", bool, False))


def _no_window(fields: ConfigFields, window: object) -> None:
    context = fields.required("max_position_embeddings", int)
    if window is not None and not (isinstance(window, int) and window >= context):
        raise fields.error(f"sliding_window is {window}, below the context of {context}: this model is not supported")


def as_ours(found: Mapping[str, Entry], config: GPTConfig) -> dict[str, Stored]:
    """The tensors by our names; one that has no place here keeps its own. Buffers of rotary positions go.

    Raises:
        ValueError: two of them have one name, or one of several that lie in one matrix here is missing.
    """
    ours: dict[str, dict[int, Entry]] = {}
    for written, entry in found.items():
        # A model that was saved without its head has no prefix.
        theirs = written if written.startswith(("model.", "lm_head.")) else f"model.{written}"
        if _BUFFER.fullmatch(theirs):
            continue
        name, place = _ours(theirs, config)
        if place in (parts := ours.setdefault(name, {})):
            raise ValueError(f"{entry.file} holds {theirs} twice, once without the prefix 'model.'")
        parts[place] = entry
    for name, parts in ours.items():
        if missing := set(range(len(_theirs(name, config)))) - parts.keys():
            first = next(iter(parts.values()))
            raise ValueError(f"{first.file} has {first.name} and lacks {_theirs(name, config)[min(missing)]}")
    return {name: Stored(tuple(entry for _, entry in sorted(parts.items()))) for name, parts in ours.items()}


def as_theirs(name: str, tensor: Float[Tensor, "..."], config: GPTConfig) -> dict[str, Float[Tensor, "..."]]:
    """One of our tensors by their names, cut into theirs."""
    names = _theirs(name, config)
    heads, kv = config.n_head * config.head_size, config.kv_heads * config.head_size
    rows = {3: [heads, kv, kv], 2: [config.mlp_size] * 2, 1: [tensor.shape[0]]}[len(names)]
    return dict(zip(names, tensor.split(rows), strict=True))


def _theirs(name: str, config: GPTConfig) -> tuple[str, ...]:
    """Their names of our tensor "h.0.attn.c_attn.weight", in the order in which they lie one above the other."""
    if (found := re.fullmatch(r"h\.(\d+)\.(.+)\.(\w+)", name)) is None:
        module, _, kind = name.rpartition(".")
        return (f"{OUTSIDE[module]}.{kind}",) if module in OUTSIDE else (name,)
    layer, module, kind = found.groups()
    return tuple(f"model.layers.{layer}.{part}.{kind}" for part in (INSIDE | NORMS[config.norm_place]).get(module, ()))


def _ours(name: str, config: GPTConfig) -> tuple[str, int]:
    """Our name of their tensor, and its place among those of that name; their own name where it has no place here."""
    if (found := re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.(\w+)", name)) is None:
        module, _, kind = name.rpartition(".")
        return next((f"{ours}.{kind}" for ours, theirs in OUTSIDE.items() if theirs == module), name), 0
    layer, module, kind = found.groups()
    for ours, parts in (INSIDE | NORMS[config.norm_place]).items():
        if module in parts:
            return f"h.{layer}.{ours}.{kind}", parts.index(module)
    return name, 0


def kind_of(config: GPTConfig) -> str | None:
    """The model type that computes exactly this architecture; None: none of the family does."""
    own = config.canonical()
    same_eps = not own.qk_norm or own.qk_norm_eps == own.norm_eps
    even_biases = config.has_qkv_bias == config.has_proj_bias
    if (
        own.position != "rotary"
        or own.activation != "swiglu"
        or own.ngram > 1
        or any(getattr(own, name) != getattr(GPTConfig, name) for name in ("window", "document_mask", "logit_softcap"))
        or config.has_norm_bias
        or config.norm_weight != (config.norm == "rms")
        or not same_eps
    ):
        return None
    queries = own.qk_norm and (own.qk_norm_over, own.qk_norm_weight)
    shape = (own.norm, own.norm_place, queries)
    if shape == ("rms", "before", False):
        if even_biases:
            return "llama"
        # Of the class of Qwen 2 no other head size is documented.
        qwen2 = config.has_qkv_bias and not config.has_mlp_bias and own.head_dim is None
        return "qwen2" if qwen2 else None
    if config.has_mlp_bias or not even_biases:
        return None
    if shape == ("rms", "before", ("head", True)):
        return "qwen3"
    if shape == ("rms", "after", ("heads", True)) and own.head_dim is None:
        return "olmo2"
    if shape == ("layer", "before", False) and own.norm_eps == 1e-5 and own.head_dim is None:
        return "olmo"
    return None


CLASSES = {"llama": "Llama", "qwen3": "Qwen3", "olmo": "Olmo", "olmo2": "Olmo2"}
"""The model types that are written, and how their classes' names begin.

Qwen 2's is not: for it transformers splits text as Qwen 2 does, whatever tokenizer lies beside the model.
"""


def describe(config: GPTConfig, kind: str) -> dict[str, Any]:
    """config.json of an architecture that `kind_of` knows, as transformers reads it."""
    described = {
        "model_type": kind,
        "architectures": [f"{CLASSES[kind]}ForCausalLM"],
        "max_position_embeddings": config.block_size,
        "vocab_size": config.vocab_size,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.kv_heads,
        "hidden_size": config.n_embd,
        "intermediate_size": config.mlp_size,
        "hidden_act": "silu",
        "tie_word_embeddings": config.tie_head,
        "attention_bias": config.has_qkv_bias,
        "rope_parameters": describe_rope(config),
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")),
    }
    if kind in ("llama", "qwen3"):
        described["head_dim"] = config.head_size
    if kind == "llama":
        described["mlp_bias"] = config.has_mlp_bias
    if config.norm == "rms":
        described["rms_norm_eps"] = config.norm_eps
    return described
