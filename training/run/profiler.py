"""A few steps under torch.profiler: a Chrome trace, a table of the costliest operations, and on CUDA a memory snapshot.

Measuring makes the steps slower, and changes nothing that they compute.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from gpt_from_scratch.support.storage.files import ensure_folder

ROWS = 12
"""Operations in the table."""
MEMORY_EVENTS = 1_000_000
"""Allocations that the snapshot remembers at most."""


class StepProfiler:
    """Profiles the steps `first` to `last`, counted from 1 as metrics.jsonl does, on this rank; None: no step."""

    def __init__(
        self, steps: tuple[int, int] | None, run: Callable[[], Path], device: torch.device, say: Callable[[str], None]
    ) -> None:
        """
        Args:
            run: where the run's folder is; what is measured goes into profile/ there.
        """
        self.steps, self._run, self.device, self.say = steps, run, device, say
        self._profile: Any = None
        self._began = False

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return self._run() / "profile"

    @contextmanager
    def around(self, step: int) -> Iterator[None]:
        """The step that makes `step` done steps out of `step - 1`."""
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
        """Write what was measured, if anything: also of a run that ends before the last step to profile."""
        if self._profile is None:
            if self.steps is not None and not self._began and not self.folder.exists():
                self.say(f"profile: the run ended before step {self.steps[0]}, so there is none")
            return
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        made, self._profile = self._profile, None
        try:
            self._write(made)
        except (OSError, RuntimeError) as error:  # torch raises either; a run is worth more than its profile
            self.say(f"profile: it could not be written ({error})")

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
            self.say(f"memory       no snapshot: only CUDA's allocator keeps one, this run is on {self.device.type}")
