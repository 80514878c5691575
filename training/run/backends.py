"""Choice of each op's backend in a run: made once at the start, equal on all ranks, and printed with its reason."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from rich.table import Table

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.kernels.choices import parse_choice, resolve, set_backend
from gpt_from_scratch.kernels.fastest import Timing, time_backends, winners
from gpt_from_scratch.kernels.outside.modules import import_backends
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.kernels.spec import Draw
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.training.checkpoints import Checkpoint
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.parallel.choose import rows_at_once
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.context import RunContext

FASTEST = "fastest"


def known(backend: str | None, modules: Sequence[str]) -> None:
    """Import the user's backend modules, and check that the chosen backends exist, before anything is built.

    Raises:
        FileNotFoundError: a module's file does not exist. ValueError: it registers nothing, or the choice is unknown.
    """
    import_backends(modules)
    named = os.environ.get("GPT_BACKEND")
    try:
        if backend is None and named:
            parse_choice(named)
    except ValueError as error:
        raise ValueError(f"GPT_BACKEND is {named!r}: {error}") from error
    if backend not in (None, FASTEST):
        parse_choice(backend)


def choose(run: RunContext, resumed: Checkpoint | None) -> list[Choice]:
    """Choose and print op, backend and reason. A resumed run keeps its backends unless others are named.

    Raises:
        ValueError, RuntimeError: as `decide`.
    """
    config, machine = run.config, run.machine
    before = None if resumed is None else resumed.part("config", TrainConfig).backend
    if resumed is not None and config.backend in (None, FASTEST, before):
        choices = restore(resumed.part("backends", list[tuple[str, str, str]]), machine.device)
    else:
        timings: list[Timing] = []
        rows = rows_at_once(config, machine.ranks.size, machine.device)
        choices = decide(
            config.backend,
            config.model,
            rows,
            device=machine.device,
            dtype=machine.dtype,
            deterministic=config.parallel == "deterministic" or None,
            ranks=machine.ranks,
            say=run.display.say,
            timings=timings,
        )
        if timings:  # a single table with measurements and choices
            where = f"device {machine.device}, activations {machine.dtype_name}, parameters fp32"
            run.display.show(timing_table(timings, choices, rows, config.model.block_size, where))
            return choices
    unasked = config.backend is None and "GPT_BACKEND" not in os.environ
    faster = quicker(choices, machine.device) if unasked else []
    run.display.backends(choices, str(machine.device), machine.dtype_name, faster)
    return choices


def decide(
    backend: str | None,
    config: GPTConfig,
    rows: int,
    *,
    device: torch.device,
    dtype: torch.dtype,
    ranks: Ranks,
    say: Callable[[str], None],
    timings: list[Timing],
    deterministic: bool | None = None,
) -> list[Choice]:
    """Choose a backend for every op, set it for the process, and return it. "fastest" is measured on rank 0.

    Args:
        timings: filled with the measurements, on rank 0.
        deterministic: whether the run is to be the same each time; None: as torch is told.

    Raises:
        ValueError: an unknown op or backend. RuntimeError: a chosen backend cannot run here.
    """
    if backend == FASTEST:
        timings += _time_all(config, rows, device, dtype, say) if ranks.is_first else []
        chosen = ranks.agree([[c.op, c.backend, c.reason] for c in winners(timings)] if ranks.is_first else None)
        timed = [Choice(*three) for three in chosen]
        by_name = {choice.op: choice for choice in timed}
        choices = [by_name.get(name) or made.choose(device) for name, made in load_ops().items()]
    else:
        on_meta = _examples(config, rows, torch.device("meta"), dtype) if device.type == "cuda" else ()
        choices = resolve(backend, device, dict(on_meta), deterministic=deterministic)
    set_backend({choice.op: choice.backend for choice in choices})
    return choices


def restore(choices: Sequence[Sequence[str]], device: torch.device) -> list[Choice]:
    """Restore the choices of a checkpoint, so that a resumed run computes exactly as before.

    Raises:
        RuntimeError: one of them cannot run here.
    """
    known = {op: backend for op, backend, _ in choices}
    resolve(known, device)
    set_backend(known)
    return [Choice(op, backend, "as in the checkpoint") for op, backend, _ in choices]


def timing_table(timings: list[Timing], choices: Sequence[Choice], rows: int, length: int, where: str) -> Table:
    """Table of times for one forward and backward pass, with a row per op and a column per backend.

    Below it are the backends that were not timed, with the reason. `where` names the device and the dtypes.
    """
    best = {choice.op: choice.backend for choice in choices}
    by_place = {(timing.op, timing.backend): timing for timing in timings}
    columns = list(dict.fromkeys(timing.backend for timing in timings if timing.seconds is not None))
    reasons = dict.fromkeys(f"{timing.backend}: {timing.why_not}" for timing in timings if timing.why_not is not None)
    table = Table(
        f"ms for {rows} × {length} tokens",
        *columns,
        "taken",
        title=f"{where}; forward and backward; the fastest is used",
        title_justify="left",
        caption="\n".join(reasons),
        caption_justify="left",
    )
    for op in best:
        cells = []
        for backend in columns:
            timing = by_place.get((op, backend))
            shown = "" if timing is None or timing.seconds is None else f"{timing.seconds * 1e3:.2f}"
            cells.append(shown)
        table.add_row(op, *cells, best[op])
    return table


def quicker(choices: list[Choice], device: torch.device) -> list[str]:
    """Backends that run here and are probably faster than the reference."""
    usable: dict[str, None] = {}
    ops = load_ops()
    for choice in choices:
        if choice.backend == "reference":
            names = ops[choice.op].backends
            usable |= {n: None for n in names if n != "reference" and ops[choice.op].why_not(n, device) is None}
    return list(usable)


def without_compiled(choices: list[Choice], device: torch.device) -> dict[str, str]:
    """The choices for evaluation and sampling, without compiled backends, whose many shapes would be recompiled."""
    ops = load_ops()
    plain = {}
    for choice in choices:
        backend = choice.backend
        if backend == "compiled":
            usable = "torch" in ops[choice.op].backends and ops[choice.op].why_not("torch", device) is None
            backend = "torch" if usable else "reference"
        plain[choice.op] = backend
    return plain


def _time_all(
    config: GPTConfig, rows: int, device: torch.device, dtype: torch.dtype, say: Callable[[str], None]
) -> list[Timing]:
    def on_start(op: str, backend: str) -> None:
        if backend == "compiled":
            say(f"timing the backends: compiling {op} (some seconds; cached for the next run)")

    timings: list[Timing] = []
    for name, arguments in _examples(config, rows, device, dtype):
        timings += time_backends(load_ops()[name], arguments, device, on_start=on_start)
    return timings


def _examples(
    config: GPTConfig, rows: int, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ops that the model calls, each with arguments as a step has them. The others follow the preference."""
    for name, made in load_ops().items():
        if made.spec.example is not None and made.spec.calls(config):
            yield name, made.spec.example(config, rows, config.block_size, Draw(device, dtype))
