"""Weights on disk in Hugging Face's format: config.json and model.safetensors. Safetensors only, never a pickle.

An exact GPT-2, or a member of the Llama family, is written in transformers' format. Any other architecture has its own
model type, and the Python files with which transformers opens it.
"""

import dataclasses
import json
import logging
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.interchange import gpt2_format, llama_format
from gpt_from_scratch.models.interchange.fields import ConfigFields
from gpt_from_scratch.models.interchange.hub import from_hub
from gpt_from_scratch.models.interchange.stored import Stored, read
from gpt_from_scratch.models.weight_files import (
    CONFIG_FILE,
    INDEX_FILE,
    WEIGHTS_FILE,
    Entry,
    entries,
    read_json,
    save_tensors,
)
from gpt_from_scratch.support.command_line.described import shown
from gpt_from_scratch.support.storage.files import ensure_folder, write_text

OWN_MODEL_TYPE = "gpt_from_scratch"
CONFIGURATION_FILE = Path(__file__).with_name("configuration_gpt_from_scratch.py")
MODELING_FILE = Path(__file__).with_name("modeling_gpt_from_scratch.py")
"""File with the model's definition for transformers, without this package."""
HEAD = "lm_head.weight"
_IN_CONFIG = {"rope_scaling": "rotary_scaling"}
"""Settings whose names transformers takes for its own in any config.json."""
LONGEST_ROTARY = 1 << 20
"""The longest context that a file may ask for without position embeddings, whose number would be held against it."""

M = TypeVar("M", bound=nn.Module)
_log = logging.getLogger(__name__)


def save(config: GPTConfig, weights: Mapping[str, Float[Tensor, "..."]], folder: Path) -> None:
    """Write a model into `folder`, each file atomically, in the format of transformers' own class if there is one."""
    ensure_folder(folder)
    describe(config, folder)
    save_tensors(folder / WEIGHTS_FILE, as_written(config, weights))


def as_written(config: GPTConfig, weights: Mapping[str, Float[Tensor, "..."]]) -> dict[str, Float[Tensor, "..."]]:
    """A model's tensors, or some of them, under the names and in the shapes that its format has."""
    weights = {name: tensor.detach().cpu() for name, tensor in weights.items()}
    kind = model_type(config)
    if kind == OWN_MODEL_TYPE:
        return weights
    written: dict[str, Float[Tensor, "..."]] = {}
    for name, tensor in weights.items():
        gpt2 = kind == gpt2_format.GPT2
        written |= gpt2_format.as_theirs(name, tensor) if gpt2 else llama_format.as_theirs(name, tensor, config)
    return written


def model_type(config: GPTConfig) -> str:
    """The model type under which an architecture is written: one of transformers' own where that is exactly it, else ours."""
    if not config.beyond_gpt2():
        return gpt2_format.GPT2
    kind = llama_format.kind_of(config)
    return kind if kind in llama_format.CLASSES else OWN_MODEL_TYPE


def describe(config: GPTConfig, folder: Path) -> None:
    """Write config.json, and for an architecture of our own the files from which transformers makes it."""
    kind = model_type(config)
    if kind == OWN_MODEL_TYPE:
        described = {
            "model_type": OWN_MODEL_TYPE,
            "architectures": ["GPTFromScratchForCausalLM"],
            "auto_map": {
                "AutoConfig": f"{CONFIGURATION_FILE.stem}.GPTFromScratchConfig",
                "AutoModelForCausalLM": f"{MODELING_FILE.stem}.GPTFromScratchForCausalLM",
            },
            **{_IN_CONFIG.get(name, name): value for name, value in dataclasses.asdict(config).items()},
        }
        for file in (CONFIGURATION_FILE, MODELING_FILE):
            write_text(folder / file.name, file.read_text(encoding="utf-8"))
    else:
        described = gpt2_format.describe(config) if kind == gpt2_format.GPT2 else llama_format.describe(config, kind)
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


def load(name: str | Path, build: Callable[[GPTConfig], M], warn: Callable[[str], None] = _log.warning) -> M:
    """The model in a folder, or one by its name on the hub ("gpt2", "openai-community/gpt2-medium").

    Args:
        build: makes the model of an architecture.
        warn: told where the weights have an output head of their own, though the config says that it is shared: the head
            is kept then, as transformers keeps it.

    Raises:
        FileNotFoundError: no such folder and no such name.
        ValueError: a damaged file, weights that are not finite, or an architecture that is not supported.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = from_hub(str(name))
    config, found = read_config(folder / CONFIG_FILE), entries(folder)
    stored = _stored(config, found, read_json(folder / CONFIG_FILE)["model_type"])
    shares_head = config.tie_head
    config = dataclasses.replace(config, tie_head=shares_head and HEAD not in stored)
    _require_fit(config, {name: one.shape for name, one in stored.items()}, folder, build)
    tensors = read(stored)
    if shares_head and HEAD in tensors:
        if torch.equal(tensors[HEAD], tensors["wte.weight"]):
            config = dataclasses.replace(config, tie_head=True)
            del tensors[HEAD]
        else:
            warn(
                f"{folder}: {HEAD} is not the embedding, although {CONFIG_FILE} has them share: the separate head is kept"
            )
    model = build(config)
    model.load_state_dict(tensors)
    return model


def _stored(config: GPTConfig, found: Mapping[str, Entry], kind: str) -> dict[str, Stored]:
    """The files' tensors by our names."""
    if kind == OWN_MODEL_TYPE:
        return {name: Stored((entry,)) for name, entry in found.items()}
    return gpt2_format.as_ours(found) if kind == gpt2_format.GPT2 else llama_format.as_ours(found, config)


def _require_fit(
    config: GPTConfig, shapes: Mapping[str, tuple[int, ...]], folder: Path, build: Callable[[GPTConfig], nn.Module]
) -> None:
    """Check that the weights match the config. Sizes are checked first, since a model with wrong sizes may be too large.

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
        expected = {name: tuple(tensor.shape) for name, tensor in build(config).state_dict().items()}
    if expected != dict(shapes):
        wrong = sorted(set(expected.items()) ^ set(shapes.items()))
        raise ValueError(
            f"{weights} does not fit its config.json: {len(wrong)} names or shapes differ, e.g. {wrong[0]}"
        )


def read_config(path: Path) -> GPTConfig:
    """The architecture that a config.json describes: GPT-2's, one of the Llama family, or ours.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a field is missing, of a wrong type, or not supported, by name.
    """
    fields = ConfigFields(read_json(path), path)
    kind = fields.described.get("model_type")
    try:
        if kind == OWN_MODEL_TYPE:
            return _own_config(fields)
        if kind == gpt2_format.GPT2:
            return gpt2_format.read_config(fields)
        if kind in llama_format.FAMILY:
            return llama_format.read_config(fields)
    except ValueError as error:
        raise error if str(error).startswith(str(path)) else fields.error(str(error)) from error
    supported = (OWN_MODEL_TYPE, gpt2_format.GPT2, *llama_format.FAMILY)
    raise fields.error(f"model_type is {shown(kind)}; this can load {', '.join(map(repr, supported))}")


def _own_config(fields: ConfigFields) -> GPTConfig:
    """A switch that an older release did not know is off, which is its default; sizes are never left to one."""
    hints = typing.get_type_hints(GPTConfig)
    sizes = {name: fields.required(name, int) for name in GPTConfig.SIZES}
    names = {field.name: _IN_CONFIG.get(field.name, field.name) for field in dataclasses.fields(GPTConfig)}
    said = {ours: written for ours, written in names.items() if written in fields.described}
    return GPTConfig(**{ours: fields.required(written, hints[ours]) for ours, written in said.items()} | sizes)
