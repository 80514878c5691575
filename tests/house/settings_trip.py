"""The files that a run's settings pass through, from the command line to the end of the first step:

    python -m tests.house.settings_trip shakespeare-char

A file is passed when one of its functions is handed the settings: the command, `TrainConfig` or one of its sections, as an
argument by itself or within an object of training/ that holds one (`RunContext`, `Trainer`, ...). The run is a new one, of one
rank. Two things are no stops on the way: the methods of the settings themselves, which check and name what is in them, and
support/, which reads and checks any dataclass.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.run.command_line import Command
from gpt_from_scratch.training.run.trainer import Trainer

ROOT = Path(train_gpt2.__file__).resolve().parents[1]
FOLDERS = ("kernels", "tokenizer", "models", "evals", "training")
HOLDERS = "gpt_from_scratch.training."


class FirstStepDone(Exception):
    """The trip is over."""


def settings_types() -> tuple[type, ...]:
    """The classes of the settings: the command's, the run's and those of its sections."""
    sections = (getattr(TrainConfig(), field.name) for field in dataclasses.fields(TrainConfig))
    return Command, TrainConfig, *(type(one) for one in sections if dataclasses.is_dataclass(one))


def passed(argv: Sequence[str]) -> list[str]:
    """The files, relative to the root, in the order in which the settings reach them."""
    types, files, step = settings_types(), {"training/train_gpt2.py": None}, Trainer.train_step

    def holds(value: Any) -> bool:
        if isinstance(value, types):
            return True
        parts = (
            vars(value).values() if type(value).__module__.startswith(HOLDERS) and hasattr(value, "__dict__") else ()
        )
        return any(isinstance(part, types) for part in parts)

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.endswith(".py"):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        values = [frame.f_locals.get(name) for name in names]
        if names[:1] == ("self",) and isinstance(values[0], types):
            values = values[1:]
        if any(map(holds, values)):
            path = Path(code.co_filename).resolve()
            folder = path.relative_to(ROOT).parts[0] if path.is_relative_to(ROOT) else ""
            if folder in FOLDERS:
                files.setdefault(path.relative_to(ROOT).as_posix())

    def first_step(self: Trainer, number: int) -> bool:
        step(self, number)
        sys.setprofile(None)
        raise FirstStepDone

    Trainer.train_step = first_step  # type: ignore[method-assign]
    sys.setprofile(look)
    try:
        status = train_gpt2.main(list(argv))
        raise RuntimeError(f"the run ended before its first step, with status {status}")
    except FirstStepDone:
        return list(files)
    finally:
        sys.setprofile(None)
        Trainer.train_step = step  # type: ignore[method-assign]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        files = passed([*sys.argv[1:], "--run.folder", folder])
    print(*files, f"{len(files)} files", sep="\n")
