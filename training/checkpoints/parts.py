"""Checkpoint that all ranks write together, each its part of the tensors. FSDP needs it, since no rank holds all.

Each rank writes `model/model-00001-of-00004.safetensors` and `optimizer-00001-of-00004.safetensors` into the same hidden
folder, then `part-00001.json`, which names and hashes them. Rank 0 waits for all of these, and only then completes the
folder. Tensors are never split between files, so the model folder is in Hugging Face's format of shards with an index, and
any number of ranks can resume from it. The ranks must share a file system. They send nothing to each other while the files
are written, so training continues meanwhile.
"""

import functools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from gpt_from_scratch.models import weight_files
from gpt_from_scratch.models.checkpoints.manifest import entry
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.models.interchange import pretrained
from gpt_from_scratch.support.storage.files import ensure_folder, remove, retried, write_text
from gpt_from_scratch.training.checkpoints.space import PartError
from gpt_from_scratch.training.ranks.process_group import Ranks

PEER_TIMEOUT = 600.0  # seconds that rank 0 waits for the others' parts


@torch.no_grad()
def own_part(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """The tensors that this rank has to save, unsharded and on the CPU. Every rank calls it with the same names.

    Each sharded tensor is gathered on all ranks in turn and kept by one of them, so no rank holds more than its part and
    one tensor. Tensors are assigned by size, the largest first, each to the rank with the least so far.
    """
    load = [0] * ranks.size
    owner = {}
    for name in sorted(tensors, key=lambda name: (-tensors[name].numel(), name)):
        owner[name] = load.index(min(load))
        load[owner[name]] += tensors[name].numel() * tensors[name].element_size()
    kept = {}
    for name, tensor in tensors.items():
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if owner[name] == ranks.rank:
            kept[name] = whole.detach().cpu()
    return kept


@torch.no_grad()
def put(target: Tensor, whole: Tensor) -> None:
    """Copy an unsharded tensor of a checkpoint into a tensor of the model or optimizer, sharded or not."""
    if isinstance(target, DTensor):
        # src_data_rank None: every rank has read the whole tensor, and takes its own piece without a message.
        whole = distribute_tensor(whole.to(target.device), target.device_mesh, target.placements, src_data_rank=None)
    target.copy_(whole)


def write_part(
    folder: Path, ranks: Ranks, config: GPTConfig, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Write this rank's files, then the file that lists them."""
    number = f"{ranks.rank + 1:05d}-of-{ranks.size:05d}"
    weights = pretrained.as_written(config, weights)
    groups = {f"model/model-{number}.safetensors": weights, f"optimizer-{number}.safetensors": tensors}
    ensure_folder(folder / "model")
    for name, group in groups.items():
        weight_files.save_tensors(folder / name, dict(group))
    note = {"weights": sorted(weights), "files": {name: entry(folder / name) for name in groups}}
    write_text(_note(folder, ranks.rank), json.dumps(note))


def write_failure(folder: Path, ranks: Ranks, message: str, full: bool, disk: bool = False) -> None:
    """Report to rank 0 that this part could not be written."""
    failure = {"failed": f"rank {ranks.rank}: {message}", "full": full, "disk": disk}
    write_text(_note(folder, ranks.rank), json.dumps(failure))


def join_parts(folder: Path, ranks: Ranks, config: GPTConfig) -> dict[str, dict[str, Any]]:
    """On rank 0: wait for all parts, complete the model folder, and return the parts' manifest entries.

    Raises:
        PartError: a rank could not write its part, or did not within `PEER_TIMEOUT` seconds.
    """
    notes = [_note(folder, rank) for rank in range(ranks.size)]
    stop = time.monotonic() + PEER_TIMEOUT
    while missing := [rank for rank, note in enumerate(notes) if not note.exists()]:
        if time.monotonic() > stop:
            raise PartError(f"ranks {missing} have not written their parts of {folder} within {PEER_TIMEOUT:.0f} s")
        time.sleep(0.02)
    parts = [retried(functools.partial(weight_files.read_json, note)) for note in notes]
    for part in parts:
        if "failed" in part:
            raise PartError(part["failed"], part["full"], part["disk"])
    weight_map = {
        name: Path(file).name for part in parts for file in part["files"] if "/" in file for name in part["weights"]
    }
    total = sum((folder / "model" / file).stat().st_size for file in sorted(set(weight_map.values())))
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_text(folder / "model" / weight_files.INDEX_FILE, json.dumps(index, indent=2) + "\n")
    pretrained.describe(config, folder / "model")
    for note in notes:
        remove(note)
    return {name: value for part in parts for name, value in part["files"].items()}


def _note(folder: Path, rank: int) -> Path:
    return folder / f"part-{rank + 1:05d}.json"
