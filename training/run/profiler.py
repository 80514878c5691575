"""Profiler of a few steps, by torch.profiler: a Chrome trace, a table of operations, and on CUDA a memory snapshot.

It makes the steps slower but does not change their results.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from gpt_from_scratch.support.storage.files import ensure_folder

ROWS = 12
"""Number of operations in the table."""
MEMORY_EVENTS = 1_000_000
"""Maximum number of allocations in the snapshot."""


class StepProfiler:
    """Profiler of the steps `first` to `last` on this rank, counted from 1 as in metrics.jsonl; None: no step."""

    def __init__(
        self, steps: tuple[int, int] | None, run: Callable[[], Path], device: torch.device, say: Callable[[str], None]
    ) -> None:
        """
        Args:
            run: function that gives the run's folder; the files are written to its profile/.
        """
        self.steps, self._run, self.device, self.say = steps, run, device, say
        self._profile: Any = None
        self._began = False

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return self._run() / "profile"

    @contextmanager
    def around(self, step: int) -> Iterator[None]:
        """Context of training step number `step`."""
        if self.steps is None or self.steps[0] < step < self.steps[1]:
            yield
            return
        if step == self.steps[0]:
            self._start()
        yield
        if step == self.steps[1]:
            self.finish()

    def _start(self) -> None:
        activities = [ProfilerActivity.CPU]
        if self.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
            torch.cuda.memory._record_memory_history(max_entries=MEMORY_EVENTS)
        self._profile = profile(activities=activities)
        self._profile.__enter__()
        self._began = True

    def finish(self) -> None:
        """Write the measurements, if there are any, also if the run ends before the last step to profile."""
        if self._profile is None:
            if self.steps is not None and not self._began and not self.folder.exists():
                self.say(f"profile: none, because the run ended before step {self.steps[0]}")
            return
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        made, self._profile = self._profile, None
        try:
            self._write(made)
        except (OSError, RuntimeError) as error:  # torch raises either; a failed profile must not end a run
            self.say(f"profile: could not be written ({error})")

    def _write(self, made: Any) -> None:
        made.__exit__(None, None, None)
        ensure_folder(self.folder)
        made.export_chrome_trace(str(self.folder / "trace.json"))
        column = "self_device_time_total" if self.device.type == "cuda" else "self_cpu_time_total"
        self.say(made.key_averages().table(sort_by=column, row_limit=ROWS, max_name_column_width=40))
        self.say(f"trace        {self.folder / 'trace.json'}  (open it in https://ui.perfetto.dev)")
        if self.device.type == "cuda":
            torch.cuda.memory._dump_snapshot(str(self.folder / "memory.pickle"))
            torch.cuda.memory._record_memory_history(enabled=None)
            self.say(f"memory       {self.folder / 'memory.pickle'}  (open it in https://docs.pytorch.org/memory_viz)")
        else:
            self.say(f"memory       no snapshot: only CUDA supports it, this run is on {self.device.type}")
