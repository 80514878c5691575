"""Weights on disk in Hugging Face's format: config.json and model.safetensors. Safetensors only, never a pickle.

An exact GPT-2 is written as transformers writes it (model type "gpt2", linear weights transposed as its Conv1D wants
them); any other architecture carries our own model type, so that nobody takes it for GPT-2.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpt_from_scratch.models.gpt import GPT, GPT2_SIZES, GPTConfig
from gpt_from_scratch.support.files import ensure_folder, write_text, write_whole
from gpt_from_scratch.support.invocation import how_to_install

CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE = "config.json", "model.safetensors", "model.safetensors.index.json"
OWN_MODEL_TYPE = "gpt_from_scratch"
# What GPT-2's config.json may say beside the sizes, and the only values that mean GPT-2 as it was trained.
GPT2_FIXED: dict[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
}


def save(model: GPT, folder: Path) -> None:
    """Write the model into `folder`, each file atomically; an exact GPT-2 in GPT-2's own format."""
    ensure_folder(folder)
    config = model.config
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    if config.beyond_gpt2():
        described = {"model_type": OWN_MODEL_TYPE, "architectures": ["GPT"], **dataclasses.asdict(config)}
    else:
        described = gpt2_config(config)
        tensors = {f"transformer.{name}": transposed(name, tensor) for name, tensor in tensors.items()}
    write_text(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")
    save_tensors(folder / WEIGHTS_FILE, tensors)


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


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """A safetensors file, written atomically."""
    contiguous = {name: t.contiguous() for name, t in tensors.items()}
    write_whole(path, lambda temporary: save_file(contiguous, temporary, metadata={"format": "pt"}))


def load(name: str | Path) -> GPT:
    """The model in a folder, or a GPT-2 by its name on the hub ("gpt2", "openai-community/gpt2-medium").

    Raises:
        FileNotFoundError: no such folder and no such name.
        ValueError: a damaged file, or an architecture that is neither GPT-2's nor ours.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = from_hub(str(name))
    config = read_config(folder / CONFIG_FILE)
    with torch.device("meta"):
        model = GPT(config)
    tensors = read_tensors(folder)
    if read_json(folder / CONFIG_FILE)["model_type"] == "gpt2":
        tensors = from_gpt2_names(tensors)
    expected = {key: tuple(t.shape) for key, t in model.state_dict().items()}
    found = {key: tuple(t.shape) for key, t in tensors.items()}
    if expected != found:
        wrong = sorted(set(expected.items()) ^ set(found.items()))
        raise ValueError(
            f"{folder / WEIGHTS_FILE} does not fit its config.json: {len(wrong)} names or shapes differ, e.g. {wrong[0]}"
        )
    loaded = GPT(config)
    loaded.load_state_dict(tensors)
    return loaded


def read_config(path: Path) -> GPTConfig:
    """The architecture that a config.json describes, GPT-2's or ours."""
    described = read_json(path)
    kind = described.get("model_type")
    if kind == OWN_MODEL_TYPE:
        # A switch that an older release did not know is off, which is its default; sizes are never left to one.
        switches = {field.name for field in dataclasses.fields(GPTConfig)} & described.keys()
        try:
            return GPTConfig(**{name: described[name] for name in {*GPTConfig.SIZES, *switches}})
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a whole description of a GPT: {error}") from error
    if kind != "gpt2":
        raise ValueError(f"{path}: model_type is {kind!r}; this can load 'gpt2' and {OWN_MODEL_TYPE!r}")
    for key, allowed in GPT2_FIXED.items():
        if described.get(key, allowed[0]) not in allowed:
            raise ValueError(
                f"{path}: {key} is {described[key]!r}, GPT-2 has {allowed[0]!r}; this model is not supported"
            )
    if described.get("n_inner") not in (None, 4 * described["n_embd"]):
        raise ValueError(f"{path}: n_inner is {described['n_inner']}, GPT-2 has 4 n_embd; this model is not supported")
    try:
        return GPTConfig(
            block_size=described["n_positions"],
            vocab_size=described["vocab_size"],
            n_layer=described["n_layer"],
            n_head=described["n_head"],
            n_embd=described["n_embd"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a whole GPT-2 config: missing or wrong {error}") from error


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
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def transposed(name: str, tensor: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """GPT-2's Conv1D keeps the weights of the blocks' linear layers as (in, out), nn.Linear as (out, in)."""
    return tensor.T if re.fullmatch(r"h\.\d+\.(attn|mlp)\.c_\w+\.weight", name) else tensor


def from_gpt2_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's GPT-2 names and layouts as ours: the prefix goes, and so do mask buffers and the tied head's copy."""
    ours = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items() if name != "lm_head.weight"}
    return {
        name: transposed(name, tensor).contiguous()
        for name, tensor in ours.items()
        if not re.fullmatch(r"h\.\d+\.attn\.(masked_)?bias", name)
    }


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's safetensors file, or of the shards that its index names."""
    if (folder / WEIGHTS_FILE).is_file():
        return read_file(folder / WEIGHTS_FILE)
    if not (folder / INDEX_FILE).is_file():
        pickled = next((p.name for p in sorted(folder.glob("*.bin"))), None)
        hint = (
            f" ({pickled} is a pickle, which is never loaded: save the model with safe_serialization=True)"
            if pickled
            else ""
        )
        raise FileNotFoundError(f"{folder} has no {WEIGHTS_FILE}{hint}")
    shards = sorted(set(read_json(folder / INDEX_FILE)["weight_map"].values()))
    if bad := [shard for shard in shards if not re.fullmatch(r"[\w.-]+\.safetensors", str(shard))]:
        raise ValueError(f"{folder / INDEX_FILE} names a file that is no plain safetensors name: {bad[0]!r}")
    return {name: tensor for shard in shards for name, tensor in read_file(folder / shard).items()}


def read_file(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, copied into memory."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, with the file's name in every error."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected a folder with {CONFIG_FILE} and {WEIGHTS_FILE}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {type(value).__name__}, expected an object")
    return value


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
