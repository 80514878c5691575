"""Runs on fewer and more ranks, one after another in the same processes, since importing torch takes longer than they do:

    torchrun --nproc-per-node 4 -m tests.training.parallel.ranks PLAN.json

The plan is a list of runs: {"ranks": 2, "arguments": [...]}, and, where wanted, "stop_at": a step before which the last rank is
told to stop; "bad_step": one in which a gradient of the last rank holds NaN. The ids of each step's samples go to
RUN_FOLDER/ids.jsonl.
"""

import json
import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from gpt_from_scratch.support.process_groups import leave_group
from gpt_from_scratch.training.optim.algorithms import muon
from gpt_from_scratch.training.optim.sharded import local
from gpt_from_scratch.training.ranks.heartbeat import Peers
from gpt_from_scratch.training.ranks.process_group import Ranks, ranks_from_environment
from gpt_from_scratch.training.report import page as report
from gpt_from_scratch.training.run import session as start
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.trainer import Trainer

UNIT_FLOPS = 1e4  # small, so that the smallest model's matrices are shared


def carry_out(item: dict[str, Any], ranks: Ranks) -> None:
    """One run of the plan."""
    with start.prepared(parse(item["arguments"]), ranks) as session:
        trainer = session.trainer
        assert trainer is not None
        watch(trainer, item)
        session.run()


def watch(trainer: Trainer, item: dict[str, Any]) -> None:
    """Note the samples, and do to the run what the plan says."""
    ranks, batch, step, clip = trainer.ranks, trainer.corpus.train.batch, trainer.train_step, trainer.parallel.clip
    is_last = ranks.rank == ranks.size - 1
    drawn: list[int] = []

    def noting(ids: Any) -> Any:
        drawn.extend(ids.tolist())
        return batch(ids)

    def stepping(number: int) -> bool:
        if number == item.get("stop_at") and is_last:
            trainer.stop.handle(15, None)
        drawn.clear()
        stopped = step(number)
        parts: list[Any] = [drawn]
        if ranks.size > 1:
            parts = [None] * ranks.size
            dist.all_gather_object(parts, drawn)
        if ranks.is_first and not stopped:
            with (trainer.folder.path / "ids.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps([sample for part in parts for sample in part]) + "\n")
        return stopped

    def clipping(limit: float) -> torch.Tensor:
        if trainer.progress.step == item.get("bad_step") and is_last:
            gradient = trainer.model.ln_f.weight.grad
            assert gradient is not None
            local(gradient).fill_(math.nan)
        return clip(limit)

    trainer.corpus.train.batch = noting  # type: ignore[method-assign]
    trainer.train_step = stepping  # type: ignore[method-assign]
    trainer.parallel.clip = clipping  # type: ignore[method-assign]


def main(plan: Path) -> None:
    torch.set_num_threads(1)
    muon.UNIT_FLOPS["cpu"] = UNIT_FLOPS
    report.write_report = lambda folders: folders[0] / "report.html"
    rank = ranks_from_environment().rank
    for number, item in enumerate(json.loads(plan.read_text(encoding="utf-8"))):
        done = plan.with_name(f"done-{number}")
        ranks = Ranks(rank, item["ranks"], rank)
        if rank < ranks.size:
            start.process_group = partial(group, file=plan.with_name(f"group-{number}"))
            # A gradient's layout and what is deprecated are errors, but for what torch.compile does itself.
            warnings.simplefilter("default" if "--compile" in item["arguments"] else "error")
            carry_out(item, ranks)
        if rank == 0:
            done.touch()
        while not done.exists():
            time.sleep(0.01)


@contextmanager
def group(ranks: Ranks, *arguments: Any, file: Path, **keywords: Any) -> Iterator[Peers]:
    """A process group of the first ranks, which meet in a file: torchrun's store is for all of them."""
    if ranks.size > 1:
        timeout = timedelta(seconds=100)
        dist.init_process_group("gloo", f"file://{file}", timeout, world_size=ranks.size, rank=ranks.rank)
    yield Peers(ranks.rank, ranks.size, timeout_s=100.0, patience_s=100.0)
    if ranks.size > 1:
        leave_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
