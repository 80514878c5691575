"""Low-rank adaptations in peft's format: adapter_config.json and adapter_model.safetensors.

peft names layers as the base model's folder does. Where that folder has separate queries, keys and values, each gets its own
rows of the B of our packed matrix, and all share one A.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.interchange import gpt2_format, llama_format, pretrained
from gpt_from_scratch.models.interchange.fields import ConfigFields
from gpt_from_scratch.models.layers.lora import base_weights, lora_layers
from gpt_from_scratch.models.weight_files import not_finite, read_file, read_json, save_tensors
from gpt_from_scratch.support.command_line.described import shown
from gpt_from_scratch.support.storage.files import write_text

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
_PLAIN: dict[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "use_rslora": (False,),
    "use_dora": (False,),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
}
"""Further fields of a config, with the only values that mean the plain sum W + (alpha / rank) B A."""


@dataclass(frozen=True)
class Adapter:
    """An adaptation: its base model, and its matrices under peft's names."""

    base: str
    """The base model: a folder, or a name on the hub."""
    rank: int
    alpha: float
    tensors: Mapping[str, Float[Tensor, "_ _"]]


def theirs(kind: str, config: GPTConfig, name: str, weight: Float[Tensor, "_ _"]) -> dict[str, Float[Tensor, "_ _"]]:
    """Views of the rows of one of our matrices, or of its B, by the layers' names in a folder of this model type."""
    if kind == pretrained.OWN_MODEL_TYPE:
        return {name: weight}
    if kind == gpt2_format.GPT2:
        return {f"transformer.{name}": weight}
    written = llama_format.as_theirs(f"{name}.weight", weight, config)
    return {their.removesuffix(".weight"): rows for their, rows in written.items()}


def tensors_of(model: nn.Module, config: GPTConfig, kind: str) -> dict[str, Float[Tensor, "_ _"]]:
    """The adaptation of a model under peft's names, for a base of this model type; copies."""
    return {name: view.clone() for name, view in _views(model, config, kind).items()}


def _views(model: nn.Module, config: GPTConfig, kind: str) -> dict[str, Float[Tensor, "_ _"]]:
    """The model's own matrices under peft's names."""
    tensors = {}
    for name, layer in lora_layers(model).items():
        for their, rows in theirs(kind, config, name, layer.lora_B.detach()).items():
            tensors[f"{PREFIX}{their}.lora_A.weight"] = layer.lora_A.detach()
            tensors[f"{PREFIX}{their}.lora_B.weight"] = rows
    return tensors


@torch.no_grad()
def put_back(model: nn.Module, config: GPTConfig, kind: str, tensors: Mapping[str, Float[Tensor, "_ _"]]) -> None:
    """The inverse of `tensors_of`: fill an adapted model's matrices.

    Raises:
        ValueError: a matrix is missing, of another shape, or not the model's.
    """
    wanted = _views(model, config, kind)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != {name: tuple(tensor.shape) for name, tensor in wanted.items()}:
        raise ValueError(
            f"the adapter has other layers or another rank than the model: {min(found, default='none')} ..."
        )
    for name, tensor in wanted.items():
        tensor.copy_(tensors[name])
    if any(not torch.equal(tensor.cpu(), tensors[name].cpu()) for name, tensor in wanted.items()):
        raise ValueError("the adapter has an A of its own for each of the layers that lie in one matrix here")


@torch.no_grad()
def merge(weights: dict[str, Tensor], config: GPTConfig, kind: str, adapter: Adapter) -> None:
    """Add an adaptation to weights in place: W ← W + (alpha / rank) B A, layer by layer of peft's, to the same bits as peft.

    Raises:
        ValueError: a matrix has another shape than its layer, lacks its other, or adapts a layer that the model lacks.
    """
    left = dict(adapter.tensors)
    for name, weight in weights.items():
        if weight.ndim != 2 or not name.startswith("h.") or not name.endswith(".weight"):
            continue
        for their, rows in theirs(kind, config, name.removesuffix(".weight"), weight).items():
            pair = [f"{PREFIX}{their}.lora_{letter}.weight" for letter in "AB"]
            if not left.keys() >= set(pair):  # one without the other stays, and is named below
                continue
            a, b = map(left.pop, pair)
            if (b.shape[0], a.shape[1]) != tuple(rows.shape) or a.shape[0] != b.shape[1]:
                raise ValueError(
                    f"the adapter's matrices of {their} have the shapes {tuple(b.shape)} and {tuple(a.shape)}, the layer "
                    f"{tuple(rows.shape)}: it belongs to another model"
                )
            rows += (b.to(rows) @ a.to(rows)) * (adapter.alpha / adapter.rank)
    if left:
        raise ValueError(
            f"the adapter has {min(left)}, for which the model has no layer, or which lacks the other matrix of its pair: it "
            "belongs to another model, or is damaged"
        )


def merged(model: nn.Module, config: GPTConfig, kind: str, adapter: Adapter) -> dict[str, Tensor]:
    """The weights of an adapted model with its adaptation added, on the CPU: those of a plain GPT."""
    weights = {name: tensor.detach().cpu().clone() for name, tensor in base_weights(model).items()}
    merge(weights, config, kind, adapter)
    return weights


def describe(adapter: Adapter, kind: str) -> str:
    """adapter_config.json."""
    layers = (name.removeprefix(PREFIX).rpartition(".lora_")[0] for name in adapter.tensors)
    described = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": adapter.base,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted({re.sub(r"^.*?\.\d+\.", "", layer) for layer in layers}),
        "fan_in_fan_out": kind == gpt2_format.GPT2,
        "inference_mode": True,
    }
    return json.dumps(described, indent=2) + "\n"


def write(folder: Path, adapter: Adapter, kind: str) -> None:
    """Write an adaptation's two files into an existing folder."""
    save_tensors(folder / ADAPTER_WEIGHTS, dict(adapter.tensors))
    write_text(folder / ADAPTER_CONFIG, describe(adapter, kind))


def read(folder: Path) -> Adapter:
    """The adaptation in a folder that peft or a run of ours wrote.

    Raises:
        FileNotFoundError: no such files.
        ValueError: a damaged file, or an adaptation of another kind, by file and field.
    """
    fields = ConfigFields(read_json(folder / ADAPTER_CONFIG), folder / ADAPTER_CONFIG)
    if (kind := fields.described.get("peft_type")) != "LORA":
        raise fields.error(f"peft_type is {shown(kind)}; this can load 'LORA'")
    for name, allowed in _PLAIN.items():
        fields.only(name, *allowed, of="a plain LoRA")
    rank, alpha = fields.required("r", int), fields.required("lora_alpha", float)
    if rank < 1:
        raise fields.error(f"r is {rank}: at least 1 is expected")
    tensors = read_file(folder / ADAPTER_WEIGHTS)
    if wrong := not_finite(tensors):
        raise ValueError(f"{folder / ADAPTER_WEIGHTS}: NaN or infinity in {min(wrong)}: these are no weights")
    return Adapter(fields.required("base_model_name_or_path", str), rank, alpha, tensors)
