"""Learn a dictionary with K-SVD from signals whose true dictionary is known, and draw both side by side.

    gpt learn dictionary                       # one run: metrics.json, dictionary.safetensors, dictionary.png
    gpt learn dictionary --n-seeds 10          # ten runs with different seeds
    gpt learn dictionary --num 100 --ksvd.iterations 400 --ksvd.restarts 5

Each sample is an 8 × 8 image: a mix of 1 to 3 of 20 atoms (a horizontal half, a vertical half, a diagonal, a cross, a
box, and 15 random ones) plus noise. K-SVD sees only the samples. Three figures are reported because none is enough
alone: the variance explained can be high while most atoms are wrong.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gpt_from_scratch.models.settings import KSVDConfig
from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.settings import Many, Threads, check_settings
from gpt_from_scratch.support.command_line.streams import surviving

N_SHAPES = 5
"""Atoms of the true dictionary that are shapes and not random (see models/dictionary/synthetic.py)."""


@dataclass(frozen=True)
class DictionaryConfig:
    """Settings of `gpt learn dictionary`."""

    n_samples: Annotated[Many, tyro.conf.arg(name="num", aliases=["--n-samples"])] = 1500
    """images to learn from; at least ksvd.n_atoms"""
    n_random: Many = 15
    """random atoms in the true dictionary, in addition to its five shapes"""
    mixed: tuple[int, int] = (1, 3)
    """smallest and largest number of atoms in one image"""
    noise: float = 1e-4
    """standard deviation of the noise on every pixel (an atom has norm 1)"""
    seed: int = 0
    """seed of the first run, for its true dictionary, images and search"""
    n_seeds: Many = 1
    """number of runs, with the seeds seed, seed + 1, ...; pictures are of the first run, metrics of all"""
    threads: Threads = 1
    """CPU threads for torch; more than one is not faster at this size"""
    out: Path | None = None
    """folder for the results (default: a new folder runs/dictionary-n<samples>-seed<seed>)
    """
    ksvd: KSVDConfig = field(default_factory=KSVDConfig)
    """settings of K-SVD"""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("n_samples", "n_seeds", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if self.n_random < 0:
            raise ValueError(f"n_random is {self.n_random}: 0 or more random atoms join the five shapes")
        if not 1 <= self.mixed[0] <= self.mixed[1] <= self.n_true:
            raise ValueError(
                f"mixed is {self.mixed}: give the least and the most atoms in an image, from 1 to {self.n_true}"
            )
        if self.n_samples < self.ksvd.n_atoms:
            raise ValueError(
                f"{self.ksvd.n_atoms} atoms cannot be learned from {self.n_samples} samples: "
                "raise --num or lower --ksvd.n-atoms"
            )
        if self.ksvd.n_atoms < self.n_true:
            raise ValueError(
                f"--ksvd.n-atoms is {self.ksvd.n_atoms}, but the true dictionary has {self.n_true} atoms to match: "
                f"learn at least {self.n_true}, or lower --n-random"
            )
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise ValueError(f"noise is {self.noise}: give a finite standard deviation, 0 or more")

    @property
    def n_true(self) -> int:
        return N_SHAPES + self.n_random

    @property
    def folder(self) -> Path:
        return self.out or Path("runs") / f"dictionary-n{self.n_samples}-seed{self.seed}"


@surviving()
def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run it."""
    config = settings(DictionaryConfig, arguments, prog="gpt learn dictionary", description=__doc__)
    imported("gpt learn dictionary", "gpt_from_scratch.training.train_dictionary:run")(config)
