"""The description that ranks compare (see `agreement`): settings and code, then data and weights."""

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.support.storage.json_text import flat
from gpt_from_scratch.training.config import as_json
from gpt_from_scratch.training.ranks.agreement import RanksDifferError, difference
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import Command
from gpt_from_scratch.training.run.context import Machine, RunData

MAY_DIFFER = (
    # Settings that only rank 0 uses.
    *("preset", "run.loggers", "run.profile_steps"),
    # Paths on this host: the contents are compared instead.
    *("data.path", "init_from", "run.hellaswag"),
    # The resolved values are compared instead.
    *("device", "dtype", "backend"),
)
PACKAGES = ("evals", "kernels", "models", "support", "tokenizer", "training")
PRIME = 2_147_483_647
AT_ONCE = 1 << 22  # elements of a tensor at a time, to limit memory


def about_settings(command: Command, machine: Machine) -> dict[str, Any]:
    """The settings that determine the computation and the collectives, and a hash of the code."""
    settings = {name: value for name, value in flat(as_json(command.train)).items() if name not in MAY_DIFFER}
    return settings | {
        "resume": None if command.resume is None else str(command.resume),
        "the number of ranks": machine.ranks.size,
        "the device": machine.device.type,
        "the dtype": machine.dtype_name,
        "the backend asked for": command.train.backend or os.environ.get("GPT_BACKEND"),
        "the code (sha256 of its sources)": code_version(),
        "torch": torch.__version__,
    }


def agree_on(ranks: Ranks, data: RunData, model: torch.nn.Module, choices: Sequence[Choice]) -> None:
    """Compare the resolved data, tokenizer, initial weights and backends of all ranks.

    Raises:
        RanksDifferError: on every rank, naming the fields and the ranks.
    """
    if ranks.size == 1:
        return
    about: dict[str, Any] = {f"the data's {name}": value for name, value in data.corpus.fingerprint.items()}
    about |= {
        "the validation rows (sha256)": _sha256(row.tobytes() for row in data.corpus.validation.rows),
        "the initial weights (checksum)": checksum(model.state_dict().items()),
    }
    about |= {f"the backend of {choice.op}": choice.backend for choice in choices}
    if data.questions is not None:
        about["HellaSwag's questions (sha256)"] = _sha256(repr(item).encode() for item in data.questions.items)
    digests = ranks.gather(_sha256([json.dumps(about, sort_keys=True).encode()]))
    if len(set(digests)) > 1:
        raise RanksDifferError(difference(ranks.gather(about)))


@functools.cache
def code_version() -> str:
    """A hash of this project's source files, since the version does not change with every edit."""
    root = Path(__file__).parents[2]
    files = sorted(path for name in PACKAGES for path in (root / name).rglob("*.py"))
    return _sha256(part for path in files for part in (str(path.relative_to(root)).encode(), path.read_bytes()))


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def checksum(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """A bit-exact checksum of named tensors, computed on their device at memory speed, unlike SHA-256."""
    return _sha256(f"{name} {tuple(tensor.shape)} {tensor.dtype} {_sum(tensor)}".encode() for name, tensor in tensors)


def _sum(tensor: Shaped[Tensor, "..."]) -> int:
    """The sum of the tensor's words, each times a position-dependent number, modulo 2^64."""
    words = tensor.detach().contiguous().view(-1).view(torch.uint8)
    words = words.view(torch.int16) if words.numel() % 2 == 0 else words
    total = 0
    for start in range(0, words.numel(), AT_ONCE):
        part = words[start : start + AT_ONCE].to(torch.int64)
        places = torch.arange(start + 1, start + 1 + part.numel(), device=part.device)
        total += int((part * (places * PRIME ^ (places >> 7))).sum())
    return total % (1 << 64)
