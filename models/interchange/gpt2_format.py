"""GPT-2 as transformers writes it: model type "gpt2", linear weights transposed as its Conv1D wants them."""

import re
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.interchange.fields import ConfigFields
from gpt_from_scratch.models.interchange.stored import Stored
from gpt_from_scratch.models.weight_files import Entry

GPT2 = "gpt2"
# What GPT-2's config.json may say beside the sizes, and the only values that mean GPT-2 as it was trained.
_FIXED: dict[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
_CONV1D = re.compile(r"h\.\d+\.(attn|mlp)\.c_\w+\.weight")
_MASK = re.compile(r"h\.\d+\.attn\.(masked_)?bias")


def read_config(fields: ConfigFields) -> GPTConfig:
    """The architecture that GPT-2's config.json describes.

    Raises:
        ValueError: a field is missing, of a wrong type, or not supported, by name.
    """
    names = {name: name for name in GPTConfig.SIZES} | {"block_size": "n_positions"}
    sizes = {ours: fields.required(theirs, int) for ours, theirs in names.items()}
    for name, allowed in _FIXED.items():
        fields.only(name, *allowed, of="GPT-2")
    fields.only("n_inner", None, 4 * sizes["n_embd"], of="GPT-2")
    return GPTConfig(**sizes, tie_head=fields.given("tie_word_embeddings", bool, True))


def describe(config: GPTConfig) -> dict[str, Any]:
    """config.json of a GPT-2, as transformers reads it."""
    end_of_text = config.vocab_size - 1
    return {
        "model_type": GPT2,
        "architectures": ["GPT2LMHeadModel"],
        "n_positions": config.block_size,
        "n_ctx": config.block_size,
        "vocab_size": config.vocab_size,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        **{key: allowed[0] for key, allowed in _FIXED.items()},
        "tie_word_embeddings": True,
        "attn_pdrop": 0.0,
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def as_ours(found: Mapping[str, Entry]) -> dict[str, Stored]:
    """The tensors by our names: the prefix goes, and so do the buffers of masks.

    Raises:
        ValueError: two of them have one name.
    """
    ours: dict[str, Stored] = {}
    for theirs, entry in found.items():
        name = theirs.removeprefix("transformer.")
        if name in ours:
            raise ValueError(f"{entry.file} holds {name} twice, once with the prefix 'transformer.'")
        if not _MASK.fullmatch(name):
            ours[name] = Stored((entry,), turned=_CONV1D.fullmatch(name) is not None)
    return ours


def as_theirs(name: str, tensor: Float[Tensor, "..."]) -> dict[str, Float[Tensor, "..."]]:
    """One of our tensors by their name; its Conv1D keeps linear weights as (in, out), nn.Linear as (out, in)."""
    return {f"transformer.{name}": tensor.T if _CONV1D.fullmatch(name) else tensor}
