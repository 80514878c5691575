"""Learn a sparse autoencoder: from signals whose true dictionary is known, or from the activations of a trained GPT.

    python training/train_sparse_autoencoder.py                          # 128 known features in 64 dimensions
    python training/train_sparse_autoencoder.py runs/NAME --layer h.2    # 512 features of the stream after block 2 of a model
    python training/train_sparse_autoencoder.py runs/NAME --layer h.2.mlp --data my.txt --sae.kind l1
    python training/train_sparse_autoencoder.py runs/NAME --curve        # and variance explained over L0

A model's texts are stories it has not been trained on, or those of --data. A tenth of them is held out, and every figure
is measured there. features.html shows what each feature fires on.
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command import run_command

    run_command("train_sparse_autoencoder", "gpt_from_scratch.training.train_sparse_autoencoder:main")


import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from jaxtyping import Float
from rich.console import Console
from safetensors.torch import save
from torch import Tensor

from gpt_from_scratch.models.dictionary_matching import match_atoms, mean_max_cosine
from gpt_from_scratch.models.dictionary_synthetic import add_noise, random_dictionary, sparse_codes
from gpt_from_scratch.models.sparse_autoencoder import (
    SparseAutoencoder,
    SparseAutoencoderConfig,
    learn_features,
    measure,
)
from gpt_from_scratch.models.sparse_autoencoder_sites import collect, splice
from gpt_from_scratch.support.arguments import settings
from gpt_from_scratch.support.files import write_bytes, write_text
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer
from gpt_from_scratch.training.data.stories import stories
from gpt_from_scratch.training.data.text import read_texts
from gpt_from_scratch.training.feature_map import Method, require
from gpt_from_scratch.training.generate import opened
from gpt_from_scratch.training.sparse_autoencoder_curve import Point, as_json, curve, draw_curve
from gpt_from_scratch.training.sparse_autoencoder_page import feature_page

STORIES_SEED = 1_000
"""Neither the training nor the validation stories' seed."""
N_TRUE, WIDTH, MIXED = 128, 64, (1, 5)
"""The known dictionary: its features, their dimensions, and how many are in one signal."""
KNOWN = SparseAutoencoderConfig(n_features=N_TRUE, k=5)


@dataclass(frozen=True)
class AutoencoderTraining:
    """What is learned from, how, and where the results go."""

    source: Annotated[Path | None, tyro.conf.Positional] = None
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer (default: a known dictionary)"""
    layer: str | None = None
    """h.N: the stream after block N; h.N.mlp, h.N.attn: what is added to it (default: the stream after the middle block)"""
    data: Path | None = None
    """a UTF-8 text, or a folder of *.txt and *.md files (default: stories)"""
    n_tokens: int = 200_000
    """activations to collect, about (or signals to make); the last tenth is held out"""
    curve: bool = False
    """also draw variance explained over L0 for both kinds, K-SVD and random directions"""
    n_shown: int = 100
    """features on the page; 0: all that fire"""
    map: Method = "pca"
    """how the page's map places features: two principal components, or UMAP (the extra umap)"""
    seed: int = 0
    """seed of the signals, the features and the batches"""
    threads: int = 2
    """CPU threads"""
    out: Path | None = None
    """folder for the results (default: runs/sparse-autoencoder-<layer or known>)"""
    sae: SparseAutoencoderConfig = field(default_factory=lambda: KNOWN)
    """the autoencoder (default for a model: 512 features, of which 32 stay)"""

    def __post_init__(self) -> None:
        for name in ("n_tokens", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if self.n_shown < 0:
            raise ValueError(f"n_shown is {self.n_shown}: it is 0 or more")
        if self.source is None and (self.layer is not None or self.data is not None):
            raise ValueError("--layer and --data say what to read from a model: name its run or folder first")

    @property
    def folder(self) -> Path:
        return (
            self.out or Path("runs") / f"sparse-autoencoder-{self.layer or ('known' if self.source is None else 'gpt')}"
        )


def sequences(texts: list[str], tokenizer: Tokenizer, block_size: int, n_tokens: int) -> list[list[int]]:
    """The texts' tokens, each text begun by the end-of-text token (where there is one), in pieces that fit the context."""
    try:
        start = [tokenizer.eot_token]
    except NoEndOfTextError:
        start = []
    pieces: list[list[int]] = []
    left = n_tokens
    for text in texts:
        tokens = [*start, *tokenizer.encode_ordinary(text)][:left]
        pieces += [tokens[i : i + block_size] for i in range(0, len(tokens), block_size)]
        left -= len(tokens)
        if left <= 0:
            break
    return pieces


def known(config: AutoencoderTraining, console: Console) -> dict[str, Any]:
    """Learn from signals whose dictionary is known; the figures, and the autoencoder's file."""
    generator = torch.Generator().manual_seed(config.seed)
    true = random_dictionary(N_TRUE, WIDTH, generator)
    signals = sparse_codes(config.n_tokens, N_TRUE, MIXED, generator).abs() @ true
    signals = add_noise(signals, generator, std=0.01)
    cut = max(1, len(signals) // 10)
    sae = fit(config, signals[:-cut], generator, console)
    learned = sae.decoder.detach()
    figures: dict[str, Any] = {"mean_max_cosine": mean_max_cosine(true, learned)}
    if len(learned) >= N_TRUE:
        figures["recovered"] = f"{match_atoms(true, learned).recovered} of {N_TRUE}"
    figures |= asdict(measure(sae, signals[-cut:]))
    draw(config, figures, signals[:-cut], signals[-cut:], "a known dictionary", console)
    return figures


def in_a_model(config: AutoencoderTraining, source: Path, console: Console) -> dict[str, Any]:
    """Learn from a GPT's activations; the figures, the autoencoder's file and the page.

    Raises:
        FileNotFoundError, ValueError: no such model, text or layer, too few tokens for the features, or a map that needs a
            package that is not installed.
    """
    require(config.map)
    _, model, tokenizer = opened(source, lambda text: console.print(text, markup=False))
    layer = config.layer or f"h.{model.config.n_layer // 2}"
    if config.data is None:
        texts = [made.text for made in stories(STORIES_SEED, range(max(20, config.n_tokens // 50)))]
    else:
        texts = read_texts(config.data)
    pieces = sequences(texts, tokenizer, model.config.block_size, config.n_tokens)
    console.print(f"collecting activations of {layer} ...", markup=False, highlight=False)
    cut = max(1, len(pieces) // 10)
    train, held_out = collect(model, layer, pieces[:-cut]), collect(model, layer, pieces[-cut:])
    sae = fit(config, train.activations, torch.Generator().manual_seed(config.seed), console)
    recovered = splice(model, layer, sae, pieces[-cut:])
    figures: dict[str, Any] = {
        "layer": layer,
        "tokens": len(train.tokens),
        **asdict(measure(sae, held_out.activations)),
        "loss_recovered": recovered.recovered,
        **{f"loss_{name}": value for name, value in asdict(recovered).items()},
    }
    with torch.no_grad():
        codes = sae.encode(held_out.activations)
    rows = [(name.replace("_", " "), shown(value)) for name, value in figures.items()]
    title = f"Features of {source.name}, {layer}"
    html = feature_page(
        title, rows, sae, codes, held_out, lambda token: tokenizer.decode([token]), config.n_shown, config.map
    )
    write_text(config.folder / "features.html", html)
    draw(config, figures, train.activations, held_out.activations, title, console)
    return figures


def fit(
    config: AutoencoderTraining, activations: Float[Tensor, "n d"], generator: torch.Generator, console: Console
) -> SparseAutoencoder:
    """Learn, and write sae.safetensors."""
    features = f"{config.sae.n_features} features of {len(activations):,} activations"
    start = time.perf_counter()
    with console.status(f"learning {features}") as status:
        sae = learn_features(
            activations,
            config.sae,
            generator,
            lambda step: status.update(f"learning {features}: step {step} of {config.sae.steps}"),
        )
    seconds = time.perf_counter() - start
    console.print(f"learned {features} in {seconds:.0f} s", markup=False, highlight=False)
    config.folder.mkdir(parents=True, exist_ok=True)
    metadata = {"config": json.dumps(asdict(config.sae)), "seconds": f"{seconds:.1f}"}
    write_bytes(config.folder / "sae.safetensors", save(sae.state_dict(), metadata))
    return sae


def draw(
    config: AutoencoderTraining,
    figures: dict[str, Any],
    train: Float[Tensor, "n d"],
    held_out: Float[Tensor, "m d"],
    title: str,
    console: Console,
) -> None:
    """The curve, if it was asked for: curve.png, and its points among the figures."""

    def progress(at: Point) -> None:
        console.print(
            f"curve: {at.method:<7} L0 {at.l0:7.2f}  variance explained {at.variance_explained:.4f}",
            markup=False,
            highlight=False,
        )

    if config.curve:
        ks = tuple(k for k in (2, 4, 8, 16, 32) if k <= config.sae.n_features)
        points = curve(train, held_out[:5000], config.sae, ks, (0.02, 0.05, 0.1, 0.2, 0.4), config.seed, progress)
        figures["curve"] = as_json(points)
        write_bytes(config.folder / "curve.png", draw_curve(points, title))


def shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


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


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, learn, write, report."""
    console = Console()
    config = parse(arguments)
    torch.set_num_threads(config.threads)
    figures = known(config, console) if config.source is None else in_a_model(config, config.source, console)
    described = {"source": str(config.source or "known dictionary"), "seed": config.seed, "sae": asdict(config.sae)}
    write_text(config.folder / "metrics.json", json.dumps({**described, **figures}, indent=1) + "\n")
    for name, value in figures.items():
        if name != "curve":
            console.print(f"{name.replace('_', ' '):<20} {shown(value)}", markup=False, highlight=False)
    console.print(f"written to {config.folder}/", highlight=False, soft_wrap=True)
