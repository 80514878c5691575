"""A new metric is one file and the line that records it: terminal, loggers, report, comparison and history show it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("evals", "kernels", "models", "support", "tokenizer", "training")
METRIC = '''
"""The size of the weights."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from gpt_from_scratch.training.metrics.metric import Metric
from gpt_from_scratch.training.metrics.record import Record


@dataclass(frozen=True)
class Weights(Record):
    """The norm of all weights."""

    kind: ClassVar[str] = "weights"

    norm: Annotated[float, Metric("norm of the weights", format=".3f", better="lower", result=True)]
'''
RUN = """
import sys
from pathlib import Path

import torch

from gpt_from_scratch.training.metrics.records.weights import Weights
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.session import train
from gpt_from_scratch.training.run.trainer import Trainer

evaluate = Trainer.evaluate


def evaluate_and_more(self):
    evaluate(self)
    self.record(Weights(self.progress.step, float(sum(p.square().sum() for p in self.model.parameters()) ** 0.5)))


Trainer.evaluate = evaluate_and_more
text = Path("text.txt")
text.write_text("the cat sat on the mat. a dog ran. " * 60)
for name in ("one", "two"):
    train(
        parse(
            f"tiny --model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 16 --data.tokenizer character "
            f"--steps 4 --batch-size 4 --run.eval-every 2 --run.checkpoint-every 0 --run.n-final-samples 0 --device cpu "
            f"--data.path text.txt --run.name {name} --run.loggers tensorboard --seed {len(name) + ord(name[0])}".split()
        ),
        Ranks(),
    )

from gpt_from_scratch.training.report.page import write_report
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator("runs/one/tensorboard")
events.Reload()
print("logged", [event.step for event in events.Scalars("weights/norm")])
write_report([Path("runs/one"), Path("runs/two")])
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("new_metric")
    for folder in FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, root / "gpt_from_scratch" / folder, ignore=ignore)
    (root / "gpt_from_scratch/training/metrics/records/weights.py").write_text(METRIC, encoding="utf-8")
    return root


def test_a_new_metric_is_shown_everywhere(tree: Path) -> None:
    (tree / "run.py").write_text(RUN, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "step 4/4  norm of the weights " in done.stdout
    assert "logged [0, 2, 4]" in done.stdout or "logged [2, 4]" in done.stdout
    assert '"kind":"weights"' in (tree / "runs/one/metrics.jsonl").read_text().replace('": "', '":"')
    page = (tree / "runs/one/report.html").read_text(encoding="utf-8")
    assert "<dt>norm of the weights</dt>" in page and "<figcaption>norm of the weights</figcaption>" in page
    compared = (tree / "runs/one/comparison.html").read_text(encoding="utf-8")
    assert '<th scope="col">norm of the weights</th>' in compared and '<b class="good">' in compared
