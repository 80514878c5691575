"""Learn a sparse autoencoder, from signals whose true dictionary is known or from the activations of a trained GPT.

    gpt learn features                          # 128 known features in 64 dimensions
    gpt learn features runs/NAME --layer h.2    # 512 features of the residual stream after block 2 of a model
    gpt learn features runs/NAME --layer h.2.mlp --data my.txt --sae.kind l1
    gpt learn features runs/NAME --load runs/…/sae.safetensors      # measure one that was learned before
    gpt learn features runs/NAME --curve        # also draw variance explained over L0

The activations come from the text of the model's own run (its validation part first; stories are generated anew), or
from --data. A tenth of the text is held out, and every figure is measured on it. features.html shows the texts on which
each feature fires.
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
"""The known dictionary: the number of features, their dimension, and the number of features in one signal."""
KNOWN = SparseAutoencoderConfig(n_features=N_TRUE, k=5)


@dataclass(frozen=True)
class AutoencoderTraining:
    """Settings of `gpt learn features`."""

    source: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer (default: a known dictionary)"""
    layer: str | None = None
    """h.N: the residual stream after block N; h.N.mlp, h.N.attn: an output that is added to it (default: the middle block's
    h.N)
    """
    data: Path | None = None
    """a UTF-8 text, or a folder of *.txt and *.md files (default: the text of the model's own run)"""
    n_tokens: Annotated[Many, tyro.conf.arg(name="num", aliases=["--n-tokens"])] = 200_000
    """approximate number of activations to collect, or of signals to generate; the last tenth is held out"""
    skip_first: bool = False
    """skip the first token of each context: its activations are often so large that they dominate the loss"""
    load: Path | None = None
    """measure this autoencoder (its sae.safetensors, or the folder with it) and learn none"""
    curve: bool = False
    """also draw variance explained over L0 for both kinds of autoencoder, K-SVD and random directions"""
    n_shown: Many = 100
    """number of features on the page; 0: all that fire"""
    map: Literal["pca", "umap"] = "pca"
    """method of the page's map: two principal components, or UMAP (needs the extra umap)"""
    seed: int = 0
    """seed of the signals, the features and the batches"""
    threads: Threads = 2
    """CPU threads"""
    out: Path | None = None
    """folder for the results (default: a new folder runs/sparse-autoencoder-<model>-<layer>-seed<seed>)"""
    sae: SparseAutoencoderConfig = field(default_factory=lambda: KNOWN)
    """settings of the autoencoder (default for a model: 512 features, of which the 32 largest stay)"""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("n_tokens", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if self.n_shown < 0:
            raise ValueError(f"n_shown is {self.n_shown}: it is 0 or more")
        if self.source is None and (self.layer, self.data, self.load, self.skip_first) != (None, None, None, False):
            raise ValueError(
                "--layer, --data, --load and --skip-first are for a model: give its run or folder as the first argument"
            )


def parse(arguments: list[str] | None) -> AutoencoderTraining:
    """Parse the command line. A model, given first, changes the defaults."""
    given = sys.argv[1:] if arguments is None else arguments
    leads = bool(given) and not given[0].startswith("-")
    default = AutoencoderTraining(sae=SparseAutoencoderConfig() if leads else KNOWN)
    prog = "gpt learn features"
    config: AutoencoderTraining = settings(AutoencoderTraining, given, prog=prog, description=__doc__, default=default)
    if config.source is not None and not leads:
        raise ValueError(f"name {config.source} first, before the options: a model changes the defaults")
    return config


@surviving()
def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run it."""
    config = parse(arguments)
    imported("gpt learn features", "gpt_from_scratch.training.train_sparse_autoencoder:run")(config)
