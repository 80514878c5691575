"""Several runs in one group of ranks, so that torch is imported once:

    torchrun --nproc-per-node 2 -m tests.training.parallel.ranks PLAN.json

The plan is a list of {"arguments": [...], "stop_at": a step or null}; `--resume` may name the folder of a run before. What is
printed goes to the ranks' stderr; ids of the samples of every step go to RUN_FOLDER/ids.jsonl.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from gpt_from_scratch.training import report, start
from gpt_from_scratch.training.cli import parse
from gpt_from_scratch.training.distributed import Ranks, ranks_from_environment
from gpt_from_scratch.training.loop import Trainer


@contextmanager
def shared_group(ranks: Ranks, device: torch.device, *arguments: Any, **keywords: Any) -> Iterator[None]:
    yield


def carry_out(item: dict[str, Any], ranks: Ranks) -> None:
    """One run, which a signal stops after `stop_at` steps."""
    with start.prepared(parse(item["arguments"]), ranks) as session:
        trainer = session.trainer
        assert trainer is not None
        batch, step = trainer.corpus.train.batch, trainer.train_step
        drawn: list[int] = []

        def noted(ids: Any) -> Any:
            drawn.extend(ids.tolist())
            return batch(ids)

        def stopping(number: int) -> bool:
            if number == item.get("stop_at") and ranks.rank == ranks.size - 1:  # one rank is told, all stop
                trainer.stop.handle(15, None)
            drawn.clear()
            stopped = step(number)
            everyone: list[Any] = [None] * ranks.size
            dist.all_gather_object(everyone, list(drawn))
            if ranks.is_first and not stopped:
                with (trainer.folder.path / "ids.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps([id for part in everyone for id in part]) + "\n")
            return stopped

        trainer.corpus.train.batch = noted  # type: ignore[method-assign]
        trainer.train_step = stopping  # type: ignore[method-assign]
        assert isinstance(trainer, Trainer)
        session.run()


def main(plan: Path) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    ranks = ranks_from_environment()
    dist.init_process_group("gloo", timeout=timedelta(seconds=100))
    start.process_group = shared_group
    report.write_report = lambda folders: folders[0] / "report.html"  # type: ignore[assignment]
    for item in json.loads(plan.read_text(encoding="utf-8")):
        carry_out(item, ranks)
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]))
