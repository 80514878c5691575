"""Loggers of a run's metrics, in addition to metrics.jsonl: TensorBoard, Weights & Biases, trackio. Each is an extra.

A logger that fails (no network, a full disk) never stops a run: it is disabled, with one warning.
"""

import difflib
import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.training.metrics.history import History
from gpt_from_scratch.training.metrics.record import Record, values

PROJECT = "gpt_from_scratch"
Warn = Callable[[str], None]


@runtime_checkable
class Logger(Protocol):
    """The interface of a logger."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log the metrics of one step, by names like "train/loss"."""

    def close(self) -> None:
        """Write all pending data and close."""


class TensorBoard:
    """Event files in the run's folder: `tensorboard --logdir runs` shows all runs."""

    def __init__(self, folder: Path, config: Mapping[str, Any], earlier: History | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Files of an earlier attempt are removed, since they may lack the last lines, and everything is written again.
        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=None if earlier is None else 0)
        text = "\n".join(f"    {name}: {value}" for name, value in config.items())
        self.writer.add_text("config", text, 0)
        tell(self, earlier)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class WandB:
    """Weights & Biases; $WANDB_PROJECT names the project, $WANDB_MODE=offline keeps everything on this machine."""

    def __init__(self, folder: Path, config: Mapping[str, Any], earlier: History | None) -> None:
        import wandb

        name = name_of(folder, earlier)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=name,
            id=name,  # a resumed run continues the same wandb run
            resume="allow",
            dir=str(folder),
            config=dict(config),
        )
        if earlier is not None and earlier.just_went_back:
            tell(self, earlier)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        self.run.finish()


class Trackio:
    """trackio keeps its runs on this machine: `trackio show` opens them."""

    def __init__(self, folder: Path, config: Mapping[str, Any], earlier: History | None) -> None:
        import trackio

        self.trackio = trackio
        trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=name_of(folder, earlier),
            resume="allow",
            config=dict(config),
        )
        if earlier is not None and earlier.just_went_back:
            tell(self, earlier)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.trackio.log(dict(values), step=step)

    def close(self) -> None:
        self.trackio.finish()


def name_of(folder: Path, earlier: History | None) -> str:
    """The run's name at a service that cannot delete data: a new one each time that the run goes back."""
    return folder.name if earlier is None or not earlier.restarts else f"{folder.name}-{earlier.restarts + 1}"


def tell(logger: Logger, earlier: History | None) -> None:
    """Log what the run recorded before this start."""
    for record in () if earlier is None else earlier.records:
        if figures := named(record):
            logger.log(record.step, figures)


def named(record: Record) -> dict[str, float]:
    """The metrics of a record, by names like "train/loss"."""
    return {f"{record.kind}/{name}": float(value) for name, value in values(record).items()}


LOGGERS: dict[str, Callable[[Path, Mapping[str, Any], History | None], Logger]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "trackio": Trackio,
}


def names_in(text: str | None) -> list[str]:
    """Parse names of loggers, as in "tensorboard,wandb".

    Raises:
        ValueError: there is no such logger; suggests a similar name.
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in LOGGERS:
            near = difflib.get_close_matches(name, LOGGERS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"run.loggers: there is no logger {name!r}; there are {', '.join(LOGGERS)}.{hint}")
    return list(dict.fromkeys(names))


def require_packages(text: str | None) -> None:
    """Check that the loggers' packages are installed. Raises RuntimeError with the install command."""
    for name in names_in(text):
        if importlib.util.find_spec(name) is None:
            raise RuntimeError(f"--run.loggers {name} needs the package {name!r}: {how_to_install(name)}")


class Loggers:
    """All of a run's loggers."""

    def __init__(
        self,
        text: str | None,
        folder: Path,
        config: Mapping[str, Any],
        first_step: int,
        *,
        warn: Warn,
        earlier: History | None = None,
    ) -> None:
        """
        Args:
            first_step: the step that the run resumes from.
            earlier: the history of an earlier start, if any.
        """
        self.warn = warn
        self.active: dict[str, Logger] = {}
        # A run evaluates the resumed step again, which would log it twice.
        self.known = {record.kind for record in (earlier.records if earlier else ()) if record.step == first_step}
        self.first_step = first_step
        for name in names_in(text):
            self._guarded(name, partial(self._start, name, folder, config, earlier))

    def record(self, record: Record) -> None:
        """Send the metrics of a record to all loggers."""
        if record.step == self.first_step and record.kind in self.known:
            return
        if figures := named(record):
            for name, logger in list(self.active.items()):
                self._guarded(name, partial(logger.log, record.step, figures))

    def close(self) -> None:
        """Write all pending data and close."""
        for name, logger in list(self.active.items()):
            self._guarded(name, logger.close)
            self.active.pop(name, None)

    def _start(self, name: str, folder: Path, config: Mapping[str, Any], earlier: History | None) -> None:
        self.active[name] = LOGGERS[name](folder, config, earlier)

    def _guarded(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        # A service's client may raise anything, and must not end a run of days.
        except Exception as error:
            self.active.pop(name, None)
            self.warn(
                f"{name} failed and is disabled from now on ({type(error).__name__}: {error}); metrics.jsonl has everything"
            )
