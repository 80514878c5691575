"""Weights on disk in Hugging Face's format: config.json and model.safetensors. Safetensors only, never a pickle.

An exact GPT-2 is written as transformers writes it (model type "gpt2", linear weights transposed as its Conv1D wants
them); any other architecture carries our own model type, so that nobody takes it for GPT-2, and the file with which
transformers opens it.
"""

import dataclasses
import json
import logging
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.gpt import GPT, GPT2_SIZES, GPTConfig
from gpt_from_scratch.models.weight_files import (
    CONFIG_FILE,
    INDEX_FILE,
    WEIGHTS_FILE,
    Entry,
    entries,
    read_entries,
    read_json,
    save_tensors,
)
from gpt_from_scratch.support.command_line.described import shown, value_of
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.storage.files import ensure_folder, write_text

OWN_MODEL_TYPE = "gpt_from_scratch"
MODELING_FILE = Path(__file__).with_name("modeling_gpt_from_scratch.py")
"""The same model once more, for those who have transformers and not this package."""
# What GPT-2's config.json may say beside the sizes, and the only values that mean GPT-2 as it was trained.
GPT2_FIXED: dict[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
HEAD = "lm_head.weight"
CONV1D = re.compile(r"h\.\d+\.(attn|mlp)\.c_\w+\.weight")
MASK = re.compile(r"h\.\d+\.attn\.(masked_)?bias")
LONGEST_ROTARY = 1 << 20
"""The longest context that a file may ask for without position embeddings, whose number would be held against it."""

_log = logging.getLogger(__name__)


def save(model: GPT, folder: Path) -> None:
    """Write the model into `folder`, each file atomically; an exact GPT-2 in GPT-2's own format."""
    ensure_folder(folder)
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    if not model.config.beyond_gpt2():
        tensors = {f"transformer.{name}": transposed(name, tensor) for name, tensor in tensors.items()}
    describe(model.config, folder)
    save_tensors(folder / WEIGHTS_FILE, tensors)


def describe(config: GPTConfig, folder: Path) -> None:
    """Write config.json, and for an architecture of our own the file from which transformers makes it."""
    if config.beyond_gpt2():
        described = {
            "model_type": OWN_MODEL_TYPE,
            "architectures": ["GPTFromScratchForCausalLM"],
            "auto_map": {
                "AutoConfig": f"{MODELING_FILE.stem}.GPTFromScratchConfig",
                "AutoModelForCausalLM": f"{MODELING_FILE.stem}.GPTFromScratchForCausalLM",
            },
            **dataclasses.asdict(config),
        }
        write_text(folder / MODELING_FILE.name, MODELING_FILE.read_text(encoding="utf-8"))
    else:
        described = gpt2_config(config)
    write_text(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")


def name_end_of_text(folder: Path, token: int) -> None:
    """Write a tokenizer's end-of-text token into the GPT-2 in `folder`: by itself a model takes its last id for that.

    Nothing changes in a model of our own architecture, whose config names no tokens.

    Raises:
        FileNotFoundError, ValueError: there is no config.json, or it is not a JSON object.
    """
    described = read_json(folder / CONFIG_FILE)
    if "eos_token_id" in described:
        described |= {"bos_token_id": token, "eos_token_id": token}
        write_text(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")


def export_gpt2(model: GPT, folder: Path) -> None:
    """`save`, but only as GPT-2.

    Raises:
        ValueError: the architecture is not GPT-2's; names the switches.
    """
    if switches := model.config.beyond_gpt2():
        raise ValueError(f"not a GPT-2, so it cannot be exported as one: {', '.join(switches)}")
    save(model, folder)


def load(name: str | Path, warn: Callable[[str], None] = _log.warning) -> GPT:
    """The model in a folder, or a GPT-2 by its name on the hub ("gpt2", "openai-community/gpt2-medium").

    Args:
        warn: told where the weights have an output head of their own, though the config says that it is shared: the head
            is kept then, as transformers keeps it.

    Raises:
        FileNotFoundError: no such folder and no such name.
        ValueError: a damaged file, weights that are not finite, or an architecture that is neither GPT-2's nor ours.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = from_hub(str(name))
    described = read_json(folder / CONFIG_FILE)
    config, found = _config_of(described, folder / CONFIG_FILE), entries(folder)
    if described["model_type"] != "gpt2":
        _require_fit(config, {name: entry.shape for name, entry in found.items()}, folder)
        tensors = read_entries(found)
    else:
        found = _by_our_names(found)
        shares_head = described.get("tie_word_embeddings", True)
        config = dataclasses.replace(config, tie_head=HEAD not in found and shares_head)
        turned = {name: entry.shape[::-1] if CONV1D.fullmatch(name) else entry.shape for name, entry in found.items()}
        _require_fit(config, turned, folder)
        tensors = {name: transposed(name, tensor).contiguous() for name, tensor in read_entries(found).items()}
        if HEAD in tensors and shares_head:
            if torch.equal(tensors[HEAD], tensors["wte.weight"]):
                config = dataclasses.replace(config, tie_head=True)
                del tensors[HEAD]
            else:
                warn(
                    f"{folder}: {HEAD} is not the embedding, although {CONFIG_FILE} has them share: it is kept as it is"
                )
    model = GPT(config)
    model.load_state_dict(tensors)
    return model


def _by_our_names(found: Mapping[str, Entry]) -> dict[str, Entry]:
    """Hugging Face's GPT-2 names as ours: the prefix goes, and so do the buffers of masks.

    Raises:
        ValueError: two of them have one name.
    """
    ours: dict[str, Entry] = {}
    for theirs, entry in found.items():
        name = theirs.removeprefix("transformer.")
        if name in ours:
            raise ValueError(f"{entry.file} holds {name} twice, once with the prefix 'transformer.'")
        if not MASK.fullmatch(name):
            ours[name] = entry
    return ours


def _require_fit(config: GPTConfig, shapes: Mapping[str, tuple[int, ...]], folder: Path) -> None:
    """Refuse weights that are not the config's. The sizes come first: a model of wrong ones may not even be built.

    Raises:
        ValueError: a size or a tensor differs, by file and field.
    """
    weights = folder / (WEIGHTS_FILE if (folder / WEIGHTS_FILE).is_file() else INDEX_FILE)
    has = {
        "n_layer": len({name.split(".")[1] for name in shapes if re.match(r"h\.\d+\.", name)}),
        "ngram": 1 + len({name for name in shapes if name.startswith("ngrams.tables.")}),
    }
    tables = {"wte.weight": ("vocab_size", "n_embd")}
    if config.position == "learned":
        tables["wpe.weight"] = ("block_size", "n_embd")
    if config.ngram > 1:
        tables["ngrams.tables.0.weight"] = ("ngram_buckets", "n_embd")
    for table, names in tables.items():
        if len(shape := shapes.get(table, ())) != 2:
            raise ValueError(f"{weights} has no tensor {table} of two dimensions")
        has |= dict(zip(names, shape, strict=True))
    for name, size in has.items():
        if getattr(config, name) != size:
            raise ValueError(
                f"{folder / CONFIG_FILE}: {name} is {getattr(config, name)}, and {weights.name} has {size}: names or shapes "
                "differ"
            )
    if config.position == "rotary" and config.block_size > LONGEST_ROTARY:
        raise ValueError(
            f"{folder / CONFIG_FILE}: block_size is {config.block_size}, at most {LONGEST_ROTARY} positions are turned"
        )
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in GPT(config).state_dict().items()}
    if expected != dict(shapes):
        wrong = sorted(set(expected.items()) ^ set(shapes.items()))
        raise ValueError(
            f"{weights} does not fit its config.json: {len(wrong)} names or shapes differ, e.g. {wrong[0]}"
        )


def read_config(path: Path) -> GPTConfig:
    """The architecture that a config.json describes, GPT-2's or ours.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a field is missing, of a wrong type, or not supported, by name.
    """
    return _config_of(read_json(path), path)


def _config_of(described: dict[str, Any], path: Path) -> GPTConfig:
    kind = described.get("model_type")
    if kind not in ("gpt2", OWN_MODEL_TYPE):
        raise ValueError(f"{path}: model_type is {shown(kind)}; this can load 'gpt2' and {OWN_MODEL_TYPE!r}")
    if kind == OWN_MODEL_TYPE:
        # A switch that an older release did not know is off, which is its default; sizes are never left to one.
        names = {field.name: field.name for field in dataclasses.fields(GPTConfig) if field.name in described}
        names |= {name: name for name in GPTConfig.SIZES}
    else:
        names = {name: name for name in GPTConfig.SIZES} | {"block_size": "n_positions"}
    if missing := [field for field in names.values() if field not in described]:
        raise ValueError(f"{path}: not a whole description of a GPT: {missing[0]} is missing")
    hints = typing.get_type_hints(GPTConfig)
    try:
        fields = {name: value_of(hints[name], described[field], field) for name, field in names.items()}
        config = GPTConfig(**fields)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if kind == "gpt2":
        for key, allowed in GPT2_FIXED.items():
            if described.get(key, allowed[0]) not in allowed:
                raise ValueError(
                    f"{path}: {key} is {shown(described[key])}, GPT-2 has {allowed[0]!r}; this model is not supported"
                )
        if described.get("n_inner") not in (None, 4 * config.n_embd):
            raise ValueError(
                f"{path}: n_inner is {shown(described['n_inner'])}, GPT-2 has 4 n_embd; this model is not supported"
            )
        if not isinstance(described.get("tie_word_embeddings", True), bool):
            raise ValueError(f"{path}: tie_word_embeddings is {shown(described['tie_word_embeddings'])}, expected bool")
    return config


def gpt2_config(config: GPTConfig) -> dict[str, Any]:
    """config.json of a GPT-2, as transformers reads it."""
    end_of_text = config.vocab_size - 1
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_positions": config.block_size,
        "n_ctx": config.block_size,
        "vocab_size": config.vocab_size,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        **{key: allowed[0] for key, allowed in GPT2_FIXED.items()},
        "tie_word_embeddings": True,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def transposed(name: str, tensor: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """GPT-2's Conv1D keeps the weights of the blocks' linear layers as (in, out), nn.Linear as (out, in)."""
    return tensor.T if CONV1D.fullmatch(name) else tensor


def from_hub(name: str) -> Path:
    """The folder of a model from the Hugging Face hub (or $HF_ENDPOINT), downloaded once into its own cache.

    Raises:
        FileNotFoundError: the hub has no such model or cannot be reached.
        RuntimeError: huggingface_hub is not installed.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise FileNotFoundError(
            f"no folder {name!r}, and it is no name of a model on the hub such as {', '.join(GPT2_SIZES)}"
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise RuntimeError(f"no folder {name!r}; to download it by name: {how_to_install('hf')}") from error
    repository = f"openai-community/{name}" if name in GPT2_SIZES else name
    try:
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            folder = Path(hf_hub_download(repository, file)).parent
        return folder
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(f"no folder {name!r}, and the hub did not give {repository!r}: {error}") from error
