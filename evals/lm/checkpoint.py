"""A model and its tokenizer from a folder: what `save_pretrained` writes, beside the tokenizer's file."""

from dataclasses import dataclass
from pathlib import Path

import torch

from gpt_from_scratch.models.gpt import GPT, GPT2_SIZES
from gpt_from_scratch.models.pretrained import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to be asked, and the name that tells it from others in results."""

    model: GPT
    tokenizer: Tokenizer
    name: str

    @property
    def context(self) -> int:
        """How many tokens the model sees at once."""
        return self.model.config.block_size


def load_checkpoint(
    path: str | Path, *, device: str = "auto", tokenizer: str | Path | None = None, name: str | None = None
) -> Checkpoint:
    """Open a model's folder, a checkpoint that has one in model/, or a run, of which the last checkpoint is taken.

    path: also a GPT-2 by its name on the Hugging Face hub ("gpt2", "gpt2-medium", ...).
    device: a torch device, or "auto" for the accelerator where there is one.
    tokenizer: a tokenizer file or a folder with one, for a model that came without; "gpt2" is GPT-2's own.
    name: what to call it in results, instead of its run and step.

    Raises:
        FileNotFoundError: no model there, or no tokenizer.
        ValueError: a damaged file, a tokenizer with more tokens than the model, or an unknown device.
    """
    place = torch_device(device)
    by_name = str(path) in GPT2_SIZES and not Path(path).exists()
    source = str(path) if by_name else model_folder(Path(path))
    if tokenizer is None:
        tokenizer = "gpt2" if by_name else source
    loaded = _tokenizer(tokenizer)
    model = GPT.from_pretrained(source).to(place).eval()
    if loaded.n_vocab > model.config.vocab_size:
        raise ValueError(
            f"the tokenizer {loaded!r} has {loaded.n_vocab} tokens, the model {source} only "
            f"{model.config.vocab_size}: they do not belong together"
        )
    return Checkpoint(model, loaded, name or (source if isinstance(source, str) else _name(source)))


def _tokenizer(name: str | Path) -> Tokenizer:
    if str(name) == "gpt2" and not Path(name).exists():
        return TiktokenTokenizer.from_name("gpt2")
    try:
        return load_tokenizer(name)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}. A model from elsewhere needs its tokenizer named: --tokenizer gpt2, or --tokenizer FILE, which a "
            f"tokenizer's save() wrote"
        ) from None


def model_folder(path: Path) -> Path:
    """Where under `path` the model lies. Raises FileNotFoundError."""
    steps = sorted((path / "checkpoints").glob("step-*/model")) or sorted(path.glob("step-*/model"))
    for folder in (path, path / "model", *reversed(steps)):
        # A run has a config.json too, of its training.
        if (folder / CONFIG_FILE).is_file() and any((folder / name).is_file() for name in (WEIGHTS_FILE, INDEX_FILE)):
            return folder
    raise FileNotFoundError(
        f"no model at {path}: expected a folder with config.json and model.safetensors, a checkpoint with that in "
        f"model/, or a run with checkpoints/step-…/model/"
    )


def torch_device(name: str) -> torch.device:
    """The device of that name, or the best there is for "auto". Raises ValueError."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise ValueError(f"no device {name!r} here: {str(error).splitlines()[0]}") from error
    return device


def _name(folder: Path) -> str:
    """The run and the step of .../RUN/checkpoints/STEP/model, else the folder's own name."""
    parts = folder.resolve().parts
    if len(parts) >= 4 and parts[-1] == "model" and parts[-3] == "checkpoints":
        return f"{parts[-4]}-{parts[-2]}"
    return parts[-2] if parts[-1] == "model" and len(parts) > 1 else parts[-1]
