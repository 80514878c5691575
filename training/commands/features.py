"""Learn a sparse autoencoder: from signals whose true dictionary is known, or from the activations of a trained GPT.

    gpt learn features                          # 128 known features in 64 dimensions
    gpt learn features runs/NAME --layer h.2    # 512 features of the stream after block 2 of a model
    gpt learn features runs/NAME --layer h.2.mlp --data my.txt --sae.kind l1
    gpt learn features runs/NAME --load runs/…/sae.safetensors      # one that was learned before
    gpt learn features runs/NAME --curve        # and variance explained over L0

A model's texts are those of its own run (the part for validation first; stories are made anew), or those of --data. A tenth
of them is held out, and every figure is measured there. features.html shows what each feature fires on.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gpt_from_scratch.models.settings import SparseAutoencoderConfig
from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.settings import Many, Threads, check_settings
from gpt_from_scratch.support.command_line.streams import surviving

N_TRUE, WIDTH, MIXED = 128, 64, (1, 5)
"""The known dictionary: its features, their dimensions, and how many are in one signal."""
KNOWN = SparseAutoencoderConfig(n_features=N_TRUE, k=5)


@dataclass(frozen=True)
class AutoencoderTraining:
    """What is learned from, how, and where the results go."""

    source: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer (default: a known dictionary)"""
    layer: str | None = None
    """h.N: the stream after block N; h.N.mlp, h.N.attn: what is added to it (default: the stream after the middle block)"""
    data: Path | None = None
    """a UTF-8 text, or a folder of *.txt and *.md files (default: the text of the model's own run)"""
    n_tokens: Annotated[Many, tyro.conf.arg(name="num", aliases=["--n-tokens"])] = 200_000
    """activations to collect, about (or signals to make); the last tenth is held out"""
    skip_first: bool = False
    """leave out the first token of each context: its activations are often so large that they alone are explained"""
    load: Path | None = None
    """measure and show this autoencoder (its sae.safetensors, or the folder with it) instead of learning one"""
    curve: bool = False
    """also draw variance explained over L0 for both kinds, K-SVD and random directions"""
    n_shown: Many = 100
    """features on the page; 0: all that fire"""
    map: Literal["pca", "umap"] = "pca"
    """how the page's map places features: two principal components, or UMAP (the extra umap)"""
    seed: int = 0
    """seed of the signals, the features and the batches"""
    threads: Threads = 2
    """CPU threads"""
    out: Path | None = None
    """folder for the results (default: a new one, runs/sparse-autoencoder-<model>-<layer>-seed<seed>)"""
    sae: SparseAutoencoderConfig = field(default_factory=lambda: KNOWN)
    """the autoencoder (default for a model: 512 features, of which 32 stay)"""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("n_tokens", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if self.n_shown < 0:
            raise ValueError(f"n_shown is {self.n_shown}: it is 0 or more")
        if self.source is None and (self.layer, self.data, self.load, self.skip_first) != (None, None, None, False):
            raise ValueError(
                "--layer, --data, --load and --skip-first say what to read from a model: name its run or folder first"
            )


def parse(arguments: list[str] | None) -> AutoencoderTraining:
    """The command line; a model, which comes first, has other defaults than the known dictionary."""
    given = sys.argv[1:] if arguments is None else arguments
    leads = bool(given) and not given[0].startswith("-")
    default = AutoencoderTraining(sae=SparseAutoencoderConfig() if leads else KNOWN)
    prog = "gpt learn features"
    config: AutoencoderTraining = settings(AutoencoderTraining, given, prog=prog, description=__doc__, default=default)
    if config.source is not None and not leads:
        raise ValueError(f"name {config.source} first, before the options: a model has other defaults than none")
    return config


@surviving()
def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, learn, write, report."""
    config = parse(arguments)
    imported("gpt learn features", "gpt_from_scratch.training.train_sparse_autoencoder:run")(config)
