"""The moving average of a model's weights that a checkpoint has beside the weights of its step."""

from pathlib import Path

import torch

from gpt_from_scratch.models.checkpoints.checkpoint import MODEL_FOLDER, tensor_files
from gpt_from_scratch.models.checkpoints.manifest import MANIFEST_FILE
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.models.weight_files import read_file

AVERAGE = "ema."
"""Name prefix of the averaged weights among a checkpoint's tensors."""


@torch.no_grad()
def take_average(model: GPT, folder: Path | None) -> None:
    """Give a model the average of its weights, from the checkpoint that its `folder` belongs to.

    Raises:
        ValueError: there is no checkpoint, or it has no average.
    """
    checkpoint = None if folder is None or folder.name != MODEL_FOLDER else folder.resolve().parent
    files = [] if checkpoint is None or not (checkpoint / MANIFEST_FILE).is_file() else tensor_files(checkpoint)
    found = {
        name.removeprefix(AVERAGE): tensor
        for file in files
        for name, tensor in read_file(file, lambda name: name.startswith(AVERAGE)).items()
    }
    if not found:
        raise ValueError(
            f"--ema: {folder or 'a model of the hub'} has no average of its weights; a run that was trained with "
            "--optimizer.ema-decay 0.999 has"
        )
    model.load_state_dict(found)
