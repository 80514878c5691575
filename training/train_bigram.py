"""The work of `gpt learn bigram`: train one stage of the bigram course, or all stages."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("train_bigram", "gpt_from_scratch.training.commands.bigram:main")


import copy
import functools
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save
from torch import Tensor

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.bigram import ADDS, STAGES, Stage
from gpt_from_scratch.models.generation.sampling import NonFiniteLogitsError
from gpt_from_scratch.support.storage.files import write_bytes, write_text
from gpt_from_scratch.support.storage.json_text import json_text
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.bigram.figures import draw_curves, draw_ladder
from gpt_from_scratch.training.bigram.loop import BigramTraining, Evaluation, Trained, train
from gpt_from_scratch.training.data.reading.texts import read_texts, split_texts
from gpt_from_scratch.training.data.sources.shakespeare import tiny_shakespeare
from gpt_from_scratch.training.results_folder import own_place, results_folder


def read(path: Path | None) -> tuple[str, str]:
    """Read the text, and split off the last tenth for validation."""
    texts = [tiny_shakespeare()] if path is None else read_texts(path)
    training, validation = split_texts(texts)
    return "".join(training), "".join(validation)


def sample(weights: dict[str, Tensor], trained: Trained, tokenizer: CharacterTokenizer, config: BigramTraining) -> str:
    """Generate a text that starts after a line break (or after the first character of the vocabulary)."""
    model = trained.model
    model.load_state_dict(weights)
    start = tokenizer.encode_ordinary("\n" if "\n" in tokenizer.characters else tokenizer.characters[0])
    generator = torch.Generator().manual_seed(config.seed)
    tokens = model.eval().generate(torch.tensor([start]), config.sample_characters, generator)
    return tokenizer.decode(tokens[0, 1:].tolist())


def as_json(config: BigramTraining, runs: list[Trained]) -> dict[str, Any]:
    """The content of metrics.json: the config, and every evaluation of every stage."""
    stages = [
        {
            "stage": run.stage,
            "adds": ADDS[run.stage],
            "parameters": run.parameters,
            "cpu_seconds": round(run.cpu_seconds, 1),
            "seconds": round(run.seconds, 1),
            "best": asdict(run.best),
            "last": asdict(run.last),
            "evaluations": [asdict(evaluation) for evaluation in run.evaluations],
        }
        for run in runs
    ]
    described = asdict(config)
    described["data"] = str(config.data or "Tiny Shakespeare")
    del described["out"]  # the file's path
    return {"config": described, "torch": torch.__version__, "stages": stages}


def write(config: BigramTraining, runs: list[Trained], tokenizer: CharacterTokenizer) -> tuple[Path, str]:
    """Write metrics.json, a picture, and the tokenizer, best weights and samples of the last stage.

    Results are written before samples and pictures are made. Returns the folder and the samples.
    """
    folder, top = results_folder(config.out, config.folder), runs[-1]
    metrics = as_json(config, runs)
    write_text(folder / "metrics.json", json_text(metrics, indent=1) + "\n")
    tokenizer.save(folder / "gpt_tokenizer.json")
    write_bytes(folder / "model.safetensors", save(top.best_weights))
    last_weights = copy.deepcopy(top.model.state_dict())
    texts = [("last", top.last, last_weights), ("best", top.best, top.best_weights)]
    written = []
    for name, at, weights in texts[at_the_same_step(top) :]:
        try:
            text = sample(weights, top, tokenizer, config)
        except NonFiniteLogitsError as error:
            text = f"(none: {error})"
        written.append(f"--- {name}: step {at.step}, validation loss {at.validation:.4f} ---\n{text}")
    samples = "\n\n".join(written)
    write_text(folder / "samples.txt", samples + "\n")
    if len(runs) > 1:
        write_bytes(folder / "ladder.png", draw_ladder(metrics["stages"]))
    else:
        write_bytes(folder / "curves.png", draw_curves(metrics["stages"][0]))
    return folder, samples


def require_finite(runs: list[Trained], folder: Path) -> None:
    """Raise ValueError if a stage diverged; its weights from before are in the folder."""
    for run in runs:
        bad = [at.step for at in run.evaluations if not math.isfinite(at.validation)]
        if bad:
            raise ValueError(
                f"{run.stage} diverged: from step {bad[0]} on its loss is not finite. {folder} holds its weights from step "
                f"{run.best.step} (validation loss {run.best.validation:.4f}); lower --optimizer.lr"
            )


def at_the_same_step(run: Trained) -> bool:
    """Whether the last evaluation was also the best."""
    return run.last.step == run.best.step


def report(folder: Path, runs: list[Trained], console: Console) -> None:
    """Print a table of the stages: their additions, best losses and gains."""
    table = Table("stage", "adds", "size", "train", "val", "gain")
    before: float | None = None
    for run in runs:
        gain = "" if before is None else f"{before - run.best.validation:+.4f}"
        before = run.best.validation
        losses = f"{run.best.train:.4f}", f"{run.best.validation:.4f}"
        table.add_row(run.stage, ADDS[run.stage], f"{run.parameters:,}", *losses, gain)
    console.print(table)
    console.print(f"written to {folder}/", highlight=False, markup=False, soft_wrap=True)


def run(config: BigramTraining, console: Console) -> None:
    """Run the command in its own results folder; see `learn`."""
    torch.set_num_threads(config.threads)
    with own_place(config.out):
        learn(config, console)


def learn(config: BigramTraining, console: Console) -> None:
    """Read the text, train, write the results, and print the samples and the table.

    Raises:
        FileNotFoundError, ValueError, DownloadError: the text does not exist, is not UTF-8, or is too short; or the model
            diverged (after all results are written).
    """
    training, validation = read(config.data)
    tokenizer = CharacterTokenizer.from_text(training + validation)
    train_tokens, validation_tokens = (
        torch.from_numpy(tokenizer.encode_to_numpy(text)).long() for text in (training, validation)
    )

    def progress(stage: Stage, at: Evaluation) -> None:
        line = f"{stage:<12} step {at.step:>6,}  train {at.train:.4f}  validation {at.validation:.4f}"
        console.print(line, highlight=False)

    runs = []
    with use_backend(config.backend):
        for stage in STAGES if config.stage == "all" else (config.stage,):
            show = functools.partial(progress, stage)
            runs.append(train(config, stage, train_tokens, validation_tokens, tokenizer.n_vocab, show))
        folder, samples = write(config, runs, tokenizer)
    console.print(visible(samples), markup=False, highlight=False, soft_wrap=True)
    report(folder, runs, console)
    require_finite(runs, folder)
