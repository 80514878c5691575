"""One checkpoint: a folder with the model in Hugging Face's format, named tensors, and the rest as JSON.

step-00000100/
    model/                  config.json, model.safetensors, gpt_tokenizer.json: evals and the server open this; with
                            tokenizer.json, a model card and the rest it is whole for Hugging Face's libraries, too
    adapter/                with LoRA: what was learned by itself, in peft's format; in model/ it is added to the weights
    optimizer.safetensors   the optimizer's and other tensors, by name
    state.json              step, sampler, config, backends, …
    manifest.json           size and SHA-256 of each of these, written last
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt_from_scratch.models import weight_files
from gpt_from_scratch.models.checkpoints.manifest import damage, files, seal
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange import hugging_face
from gpt_from_scratch.models.interchange.peft_format import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from gpt_from_scratch.models.weight_files import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE
from gpt_from_scratch.support.command_line.described import value_of
from gpt_from_scratch.support.storage.files import ensure_folder, sync_folder, write_text
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer
from gpt_from_scratch.tokenizer.protocol import Tokenizer

MODEL_FOLDER, TENSORS_FILE, STATE_FILE = "model", "optimizer.safetensors", "state.json"
ADAPTER_FOLDER = "adapter"
ADAPTER = f"{ADAPTER_FOLDER}."
"""Name prefix of an adaptation's tensors in a checkpoint."""
READ_BY_NAME = (
    *(f"{MODEL_FOLDER}/{name}" for name in (CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE, TOKENIZER_FILE)),
    *(f"{ADAPTER_FOLDER}/{name}" for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)),
    TENSORS_FILE,
    STATE_FILE,
)
"""Files of a checkpoint that readers open by name."""


def step_of(folder: Path) -> int | None:
    """The step in the name of a checkpoint's folder; None for any other name."""
    name = re.fullmatch(r"step-(\d{8,})", folder.name, re.ASCII)
    return int(name[1]) if name and folder.name == f"step-{int(name[1]):08d}" else None


class DamagedCheckpointError(ValueError):
    """A folder is not a complete checkpoint; the message lists each file with its defect."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was loaded after every file was verified."""

    step: int
    folder: Path
    tensors: dict[str, Tensor]
    """The `tensors` given to `save`, on the requested device."""
    state: dict[str, Any]
    """The `state` given to `save`."""

    def model(self) -> GPT:
        """Build the model with its weights, on the CPU. It does not use torch's random numbers, so a resume stays exact."""
        with torch.random.fork_rng(devices=[]):
            return GPT.from_pretrained(self.folder / MODEL_FOLDER)

    def tensors_of(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so, by the rest of their names."""
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

    def part(self, name: str, kind: Any) -> Any:
        """A field of the state, checked against the annotation `kind` (a type, list[str], dict[str, Any], ...).

        Raises:
            ValueError: it is missing or has another type, because another release or program wrote it.
        """
        try:
            return value_of(kind, self.state.get(name), name)
        except ValueError as error:
            raise ValueError(f"{self.folder / STATE_FILE}: {error}") from error

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the run."""
        return load_tokenizer(self.folder / MODEL_FOLDER)


def read(folder: Path, step: int, map_location: str | torch.device = "cpu") -> Checkpoint:
    """Load the checkpoint in `folder`.

    Raises:
        DamagedCheckpointError: it is not complete, or not a checkpoint.
    """
    if lines := damage(folder, step, READ_BY_NAME):
        raise DamagedCheckpointError("\n".join(lines))
    read = (weight_files.read_file(file) for file in tensor_files(folder))
    tensors = {name: tensor for part in read for name, tensor in part.items()}
    if f"{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS}" in files(folder):
        adapter = weight_files.read_file(folder / ADAPTER_FOLDER / ADAPTER_WEIGHTS)
        tensors |= {f"{ADAPTER}{name}": tensor for name, tensor in adapter.items()}
    return Checkpoint(
        step=step,
        folder=folder,
        tensors={name: tensor.to(map_location) for name, tensor in tensors.items()},
        state=weight_files.read_json(folder / STATE_FILE),
    )


def tensor_files(folder: Path) -> list[Path]:
    """The files of a whole checkpoint's tensors beside the model: one, or one of each rank that wrote it."""
    return [folder / name for name in files(folder) if re.fullmatch(r"optimizer(-\d+-of-\d+)?\.safetensors", name)]


def write_tensors(
    folder: Path, config: GPTConfig, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Write the model and the other tensors into an existing, empty folder."""
    with torch.device("meta"):
        model = GPT(config)
    model.load_state_dict(dict(weights), assign=True)
    model.save_pretrained(folder / MODEL_FOLDER)
    adapter = {name.removeprefix(ADAPTER): tensor for name, tensor in tensors.items() if name.startswith(ADAPTER)}
    if adapter:
        ensure_folder(folder / ADAPTER_FOLDER)
        weight_files.save_tensors(folder / ADAPTER_FOLDER / ADAPTER_WEIGHTS, adapter)
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith(ADAPTER)}
    weight_files.save_tensors(folder / TENSORS_FILE, others)


def complete(
    folder: Path,
    step: int,
    tokenizer: Tokenizer,
    state_text: str,
    *,
    config: GPTConfig,
    card: str | None = None,
    adapter: str | None = None,
    known: Mapping[str, dict[str, Any]] | None = None,
) -> str | None:
    """Write the remaining files and the manifest; every file is on the disk when this returns.

    Returns why model/ has no tokenizer.json; None: it has one.
    """
    lack = hugging_face.write_beside(folder / MODEL_FOLDER, config, tokenizer, card)
    if adapter is not None:
        write_text(folder / ADAPTER_FOLDER / ADAPTER_CONFIG, adapter)
        sync_folder(folder / ADAPTER_FOLDER)
    write_text(folder / STATE_FILE, state_text)
    seal(folder, step, known)
    sync_folder(folder / MODEL_FOLDER)
    sync_folder(folder)
    return lack


def state_text(state: Mapping[str, Any]) -> str:
    """Encode the state as JSON.

    Raises:
        ValueError: it holds NaN or infinity, or a value that changes in JSON.
    """
    try:
        text = json.dumps(dict(state), indent=1, allow_nan=False)
        if json.loads(text) == dict(state):
            return text + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the state of a checkpoint must be JSON (finite numbers, text, lists, dicts): {error}"
        ) from None
    raise ValueError("the state of a checkpoint must not change in JSON: use lists, not tuples, and strings as keys")
