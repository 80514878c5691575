"""The work of `gpt learn dictionary`: learn a dictionary with K-SVD and compare it with the true one."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("train_dictionary", "gpt_from_scratch.training.commands.dictionary:main")


import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Float
from matplotlib.figure import Figure, SubFigure
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gpt_from_scratch.models.dictionary.ksvd import learn_dictionary, sparse_encode
from gpt_from_scratch.models.dictionary.matching import RECOVERED, match_atoms, mean_max_cosine, variance_explained
from gpt_from_scratch.models.dictionary.synthetic import SHAPES, SIDE, add_noise, image_dictionary, sparse_codes
from gpt_from_scratch.support.storage.files import write_bytes, write_text
from gpt_from_scratch.support.storage.json_text import json_text
from gpt_from_scratch.training.commands.dictionary import DictionaryConfig as DictionaryConfig
from gpt_from_scratch.training.drawing import plain_text, png
from gpt_from_scratch.training.results_folder import own_place, results_folder

COLUMNS = 5
"""Number of images in a row of the picture."""


@dataclass(frozen=True)
class DictionaryScore:
    """The scores of one seed."""

    seed: int
    mmcs: float
    """mean max cosine similarity: over the true atoms, the largest |cosine| with a learned atom"""
    recovered: int
    """number of true atoms whose matched atom has |cosine| > 0.99"""
    shapes_recovered: int
    """how many of them are among the five shapes"""
    variance_explained: float
    seconds: float
    """time of the search alone"""


@dataclass(frozen=True)
class Result:
    """One seed's score, and the learned atoms in the order and with the signs of the true ones."""

    score: DictionaryScore
    true: Float[Tensor, "k d"]
    learned: Float[Tensor, "k d"]
    cosine: Float[Tensor, " k"]


def learn(config: DictionaryConfig, seed: int) -> Result:
    """Generate the images of `seed`, learn a dictionary from them, and compare it with the true one."""
    generator = torch.Generator().manual_seed(seed)
    true = image_dictionary(generator, config.n_random)
    signals = sparse_codes(config.n_samples, len(true), config.mixed, generator) @ true
    signals = add_noise(signals, generator, std=config.noise)
    start = time.perf_counter()
    atoms = learn_dictionary(signals, config.ksvd, generator).atoms
    seconds = time.perf_counter() - start
    match = match_atoms(true, atoms)
    score = DictionaryScore(
        seed=seed,
        mmcs=mean_max_cosine(true, atoms),
        recovered=match.recovered,
        shapes_recovered=int((match.cosine[: len(SHAPES)] > RECOVERED).sum()),
        variance_explained=variance_explained(signals, sparse_encode(signals, atoms, config.ksvd.n_nonzero) @ atoms),
        seconds=seconds,
    )
    return Result(score, true, match.align(atoms), match.cosine)


def draw(result: Result) -> bytes:
    """Draw the true and the learned dictionary as two grids of images, each learned atom with its |cosine|, as a PNG.

    Blue is negative, white zero, red positive. Every atom has its own scale.
    """
    with plain_text():
        return png(_figure(result))


def _figure(result: Result) -> Figure:
    score = result.score
    n_shapes, n_true = len(SHAPES), len(result.true)
    rows = math.ceil(n_true / COLUMNS)
    figure = Figure(figsize=(11, 1.35 * rows + 1), layout="constrained")
    figure.suptitle(
        f"seed {score.seed}: {score.recovered} of {n_true} atoms recovered (|cos| > {RECOVERED}), "
        f"mean max cosine {score.mmcs:.4f}, variance explained {score.variance_explained:.4f}"
    )
    halves = figure.add_gridspec(1, 2, wspace=0.06)
    left, right = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    _draw_atoms(left, "true dictionary", result.true, [*SHAPES, *["random"] * (n_true - n_shapes)])
    cosines = [f"{cosine:.4f}" for cosine in result.cosine.tolist()]
    _draw_atoms(right, "learned by K-SVD, matched, signs aligned: |cosine|", result.learned, cosines)
    return figure


def _draw_atoms(panel: SubFigure, title: str, atoms: Float[Tensor, "k d"], labels: list[str]) -> None:
    panel.suptitle(title)
    for place, (atom, label) in enumerate(zip(atoms, labels, strict=True), start=1):
        axis = panel.add_subplot(math.ceil(len(atoms) / COLUMNS), COLUMNS, place)
        limit = float(atom.abs().max())
        axis.imshow(atom.view(SIDE, SIDE).numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(label, fontsize=8)
        axis.axis("off")


def write(config: DictionaryConfig, results: list[Result]) -> Path:
    """Write metrics.json for all seeds, and the atoms and the picture of the first one. Returns the folder."""
    folder = results_folder(config.out, config.folder)
    metrics = {
        "config": {**asdict(config), "out": str(folder)},
        "n_atoms": config.n_true,
        "seeds": [asdict(result.score) for result in results],
    }
    write_text(folder / "metrics.json", json_text(metrics, indent=2) + "\n")
    atoms = {"true": results[0].true, "learned": results[0].learned.contiguous()}
    write_bytes(folder / "dictionary.safetensors", safetensors.torch.save(atoms))
    write_bytes(folder / "dictionary.png", draw(results[0]))
    return folder


def report(config: DictionaryConfig, results: list[Result], console: Console, folder: Path) -> None:
    """Print a table with three figures per seed, and a summary line."""
    table = Table("seed", "MMCS", "atoms > 0.99", "of these shapes", "variance explained", "seconds")
    scores = [result.score for result in results]
    for score in scores:
        table.add_row(
            str(score.seed),
            f"{score.mmcs:.4f}",
            f"{score.recovered} of {config.n_true}",
            f"{score.shapes_recovered} of {len(SHAPES)}",
            f"{score.variance_explained:.6f}",
            f"{score.seconds:.2f}",
        )
    console.print(table)
    complete = sum(score.recovered == config.n_true for score in scores)
    console.print(
        f"all {config.n_true} atoms recovered in {complete} of {len(scores)} seeds, "
        f"slowest {max(score.seconds for score in scores):.2f} s; written to {folder}/",
        highlight=False,
        soft_wrap=True,
    )


def run(config: DictionaryConfig) -> None:
    """Run the command: learn a dictionary for every seed, write the results, and report."""
    torch.set_num_threads(config.threads)
    with own_place(config.out):
        results = [learn(config, seed) for seed in range(config.seed, config.seed + config.n_seeds)]
        folder = write(config, results)
    report(config, results, Console(), folder)
