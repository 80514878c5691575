"""One file is one more of a kind: a metric, an optimizer, a decay, a provider, a format, an eval, a data source.

It is put into a copy of the tree in which nothing else changes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import blocks

ROOT = Path(__file__).parents[2]
FOLDERS = ("evals", "kernels", "models", "support", "tokenizer", "training")
FILES = {
    "training/metrics/records/weights.py": '''
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
''',
    "training/optim/algorithms/lion.py": '''
"""Lion (Chen et al. 2023)."""

from dataclasses import dataclass

import torch

from gpt_from_scratch.training.optim.algorithm import Algorithm
from gpt_from_scratch.training.optim.settings import OptimizerSettings


@dataclass(frozen=True)
class LionSettings(OptimizerSettings):
    """Lion's own."""

    sharpness: float = 1.0
    """What the sign's argument is multiplied by."""


class Lion(Algorithm):
    """Lion: the sign of a momentum.

    p ← p - lr (sign(β₁ m + (1 - β₁) g) + weight_decay p),  m ← β₂ m + (1 - β₂) g.
    """

    options = LionSettings

    @classmethod
    def state_shapes(cls, shape):
        return {"momentum": shape}

    @classmethod
    def defaults_of(cls, settings):
        return {"betas": settings.betas, "sharpness": settings.sharpness}

    def update(self, group, members):
        first, second = group["betas"]
        for member in members:
            momentum = member.state["momentum"]
            direction = torch.sign(group["sharpness"] * torch.lerp(member.gradient, momentum, first))
            member.value.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=group["lr"])
            momentum.lerp_(member.gradient, 1 - second)
''',
    "training/optim/decays/square.py": '''
"""A parabola."""

from gpt_from_scratch.training.optim.decay import Decay


class Square(Decay):
    """The square of what is left."""

    @staticmethod
    def part(left):
        return left * left
''',
    "evals/providers/mirror_provider.py": '''
"""Models that write the question backwards, for a price."""

import re

from gpt_from_scratch.evals.protocol.pricing import Price, PriceList
from gpt_from_scratch.evals.providers.offline import OfflineProvider

PRICES = PriceList(re.compile("mirror-"), {"mirror-1": Price(2.0, 4.0)})


class MirrorProvider(OfflineProvider):
    """Answers with the last message, backwards."""

    names = "mirror-… (backwards)"
    example = "mirror-1"
    offline = False

    def __init__(self):
        super().__init__("mirror-1", lambda prompt: prompt[-1].content[::-1])


PROVIDER = MirrorProvider()
''',
    "tokenizer/formats/known/hex_lines.py": '''
"""Merges as lines of two hexadecimal numbers."""

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.format import Format


class HexLines(Format):
    """A merge a line."""

    name = "hex"
    about = "merges in hexadecimal (*.hex)"
    files = ("merges.hex",)

    @classmethod
    def recognises(cls, candidate):
        return candidate.path.suffix == ".hex"

    @classmethod
    def read(cls, path, pattern, special_tokens):
        pairs = [tuple(int(word, 16) for word in line.split()) for line in path.read_text().splitlines()]
        return BytePairEncodingTokenizer(pairs, pattern=pattern, special_tokens=tuple(special_tokens))

    @classmethod
    def write(cls, tokenizer, out):
        out.write_text("".join(f"{left:x} {right:x}\\n" for left, right in tokenizer.merges))
''',
}
SMALL = (
    "tiny --model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 16 --data.tokenizer character "
    "--data.path text.txt --batch-size 4 --run.eval-every 2 --run.n-final-samples 0 --device cpu"
)
WEIGHTS = """
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.metrics.records.weights import Weights
from gpt_from_scratch.training.report.page import write_report
from gpt_from_scratch.training.run.trainer import Trainer

evaluate = Trainer.evaluate


def evaluate_and_more(self):
    evaluate(self)
    self.record(Weights(self.progress.step, float(sum(p.square().sum() for p in self.model.parameters()) ** 0.5)))


Trainer.evaluate = evaluate_and_more
for name, seed in (("one", "1"), ("two", "2")):
    status = train_gpt2.main([*sys.argv[1:], "--run.name", name, "--seed", seed, "--run.loggers", "tensorboard"])
    assert status == 0
events = EventAccumulator("runs/one/tensorboard")
events.Reload()
print("logged", [event.step for event in events.Scalars("weights/norm")])
write_report([Path("runs/one"), Path("runs/two")])
"""
LION = """
import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.optimizers import make_optimizers, optimizer_tensors, state_values

model = GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=1, n_head=2, n_embd=16))
config = OptimizerConfig(name="lion", sharpness=2.0)
assert state_values(model, config) == model.num_parameters(), "one number a parameter"
(lion,) = make_optimizers(model, config)
for parameter in model.parameters():
    parameter.grad = torch.full_like(parameter, float("nan"))
before = [parameter.detach().clone() for parameter in model.parameters()]
lion.found_inf = torch.ones(())
lion.step()
assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before)), "a bad gradient changes nothing"
assert not any(state.any() for state in optimizer_tensors([lion]).values())
"""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("one_file_each")
    for folder in FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, root / "gpt_from_scratch" / folder, ignore=ignore)
    for name, text in FILES.items():
        (root / "gpt_from_scratch" / name).write_text(text, encoding="utf-8")
    (root / "text.txt").write_text("the cat sat on the mat. a dog ran. " * 60, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def run(tree: Path) -> Run:
    """Run python in the copy; what it prints."""

    def start(*command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "100"}
        done = subprocess.run(
            [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return start


def test_a_metric_is_shown_by_terminal_logger_report_and_comparison(tree: Path, run: Run) -> None:
    said = run("-c", WEIGHTS, *SMALL.split(), "--steps", "4", "--run.checkpoint-every", "0")
    assert re.search(r"step 4/4  norm of the weights \d+\.\d{3}\n", said)
    assert "logged [2, 4]" in said
    lines = [json.loads(line) for line in (tree / "runs/one/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "weights"] == [2, 4]
    page = (tree / "runs/one/report.html").read_text(encoding="utf-8")
    assert "<dt>norm of the weights</dt>" in page and "<figcaption>norm of the weights</figcaption>" in page
    compared = (tree / "runs/one/comparison.html").read_text(encoding="utf-8")
    assert '<th scope="col">norm of the weights</th>' in compared and '<b class="good">' in compared


def test_an_optimizer_is_offered_trains_goes_on_and_is_estimated(tree: Path, run: Run) -> None:
    train = ("gpt_from_scratch/training/train_gpt2.py", *SMALL.split(), "--steps", "6", "--optimizer.name", "lion")
    offered = " ".join(run(train[0], "--help").replace("│", " ").split())
    assert "{adamw,lion,muon}" in offered and '"lion": Lion: the sign of a momentum' in offered
    assert "--optimizer.sharpness X What the sign's argument is multiplied by." in offered
    run("-c", LION)
    assert "optimizer" in run(*train, "--dry-run")
    assert '"square": The square of what is left' in offered
    options = (
        "--schedule.decay",
        "square",
        "--optimizer.lr",
        "0.003",
        "--optimizer.sharpness",
        "0.5",
        "--run.checkpoint-every",
        "3",
    )
    run(*train, *options, "--run.name", "lion")
    checkpoints = tree / "runs/lion/checkpoints"
    weights = checkpoints / "step-00000006" / "model" / "model.safetensors"
    whole = weights.read_bytes()
    lines = [json.loads(line) for line in (tree / "runs/lion/metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "eval"]
    assert losses[-1] < losses[0] and {line["lr_of"] for line in lines if line["kind"] == "train"} == {"Lion"}
    shutil.rmtree(checkpoints / "step-00000006")
    run(train[0], "--resume", "runs/lion")
    assert "resumed at step 3" in (tree / "runs/lion/metrics.jsonl").read_text()
    assert weights.read_bytes() == whole
    assert json.loads((tree / "runs/lion/config.json").read_text())["optimizer"]["sharpness"] == 0.5


def test_a_provider_answers_is_priced_and_is_named(tree: Path, run: Run) -> None:
    (tree / "mirror.jsonl").write_text(
        '{"question": "level", "answer": "level"}\n{"question": "abc", "answer": "abc"}\n'
    )
    ask = ("-m", "gpt_from_scratch.evals", "run", "mirror.jsonl", "--model")
    said = run(*ask, "mirror-1", "--max-cost", "1")
    assert "score 0.5000" in said and "cost $0.0" in said
    assert "mirror-1" in run(*ask[:3], "--help")
    with pytest.raises(
        AssertionError, match=r"no provider has the model 'miror'\. The models are: .*mirror-… \(backwards\)"
    ):
        run(*ask, "miror")


def test_a_tokenizer_format_is_read_written_converted_and_exported(tree: Path, run: Run) -> None:
    tokenizer = ("-m", "gpt_from_scratch.tokenizer")
    run(*tokenizer, "train", "text.txt", "--out", "ours.json", "--vocab-size", "280", "--special-tokens")
    help_text = " ".join(run(*tokenizer, "convert", "--help").replace("│", " ").split())
    assert "{ours,hugging-face,gpt2,tiktoken,hex}" in help_text and "hex: merges in hexadecimal (*.hex)" in help_text
    run(*tokenizer, "convert", "ours.json", "m.hex", "--to", "hex")
    run(*tokenizer, "convert", "m.hex", "again.json", "--to", "ours")
    assert json.loads((tree / "again.json").read_text()) == json.loads((tree / "ours.json").read_text())
    (tree / "folder").mkdir()
    shutil.copy(tree / "m.hex", tree / "folder" / "merges.hex")
    ids = [run(*tokenizer, "encode", place, "text.txt") for place in ("ours.json", "m.hex", "folder")]
    assert len(set(ids)) == 1
    assert "hex: the tokenizer alone, as merges in hexadecimal" in " ".join(
        run("-m", "gpt_from_scratch.training.sharing.export", "--help").replace("│", " ").split()
    )


def of_the_guide(page: str, name: str) -> str:
    """A file that a page of docs/how-to gives as its example."""
    (found,) = (block.body for block in blocks(ROOT / "docs" / "how-to" / page) if block.file == name)
    return found


def test_a_text_eval_is_a_file_of_thirty_lines_and_a_command(tree: Path, run: Run) -> None:
    text = of_the_guide("add-an-eval.md", "parity_of_numbers.py")
    assert text.count("\n") <= 30
    (tree / "gpt_from_scratch/evals/tasks/parity_of_numbers.py").write_text(text, encoding="utf-8")
    evals = ("-m", "gpt_from_scratch.evals")
    assert "Even or odd: the parity of whole numbers" in run(*evals, "--help")
    assert "how many numbers" in run(*evals, "parity_of_numbers", "--help")
    said = run(*evals, "parity_of_numbers", "--model", "oracle", "--num", "5", "--out", "parity")
    assert "score 1.0000" in said and "parity" in run(*evals, "compare", "parity", "parity")
    assert len((tree / "parity/record.jsonl").read_text().splitlines()) == 6


def test_a_data_source_is_offered_and_trained_on(tree: Path, run: Run) -> None:
    text = of_the_guide("add-a-data-source.md", "sums.py")
    (tree / "gpt_from_scratch/training/data/sources/sums.py").write_text(text, encoding="utf-8")
    sizes = SMALL.replace("--data.path text.txt", "--data sums --data.n-sums 300").split()
    train = ("gpt_from_scratch/training/train_gpt2.py", *sizes, "--steps", "2", "--run.name", "sums")
    run(*train)
    config = json.loads((tree / "runs/sums/config.json").read_text())
    assert (config["data"]["source"], config["data"]["n_sums"]) == ("sums", 300)
    listed = "from gpt_from_scratch.training.data.registry import live_sources; print(live_sources())"
    assert '"sums": lines of sums, made here' in run("-c", listed)
