"""The work of `gpt learn features`: learn a sparse autoencoder from known signals or from a GPT's activations."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("train_sparse_autoencoder", "gpt_from_scratch.training.commands.features:main")


import functools
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from gpt_from_scratch.models.checkpoints.checkpoint import MODEL_FOLDER
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.dictionary.gpt_sites import collect, splice
from gpt_from_scratch.models.dictionary.matching import match_atoms, mean_max_cosine
from gpt_from_scratch.models.dictionary.sparse_autoencoder import (
    SparseAutoencoder,
    learn_features,
    measure,
)
from gpt_from_scratch.models.dictionary.sparse_autoencoder_files import (
    AUTOENCODER_FILE,
    Origin,
    load_autoencoder,
    save_autoencoder,
    weights_sha256,
)
from gpt_from_scratch.models.dictionary.synthetic import add_noise, random_dictionary, sparse_codes
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.support.storage.files import write_bytes, write_text
from gpt_from_scratch.support.storage.json_text import json_text
from gpt_from_scratch.training.commands.features import MIXED, N_TRUE, WIDTH, AutoencoderTraining
from gpt_from_scratch.training.data.reading.texts import read_texts
from gpt_from_scratch.training.data.run_texts import RunTexts, split_sequences, texts_of_run
from gpt_from_scratch.training.features.curve import Point, as_json, curve, draw_curve
from gpt_from_scratch.training.features.map import require
from gpt_from_scratch.training.features.page import feature_page
from gpt_from_scratch.training.results_folder import own_place, results_folder


@dataclass
class Results:
    """The results: the folder, which is created on demand, and the content of metrics.json."""

    config: AutoencoderTraining
    console: Console
    figures: dict[str, Any] = field(default_factory=dict)
    meaningless: dict[str, str] = field(default_factory=dict)
    """Figures outside of their valid range, with the reason."""

    @functools.cached_property
    def folder(self) -> Path:
        """--out, or a new folder named after the model and the layer."""
        parts = (
            "sparse-autoencoder",
            model_name(self.config.source),
            self.figures.get("layer"),
            f"seed{self.config.seed}",
        )
        return results_folder(self.config.out, Path("runs") / "-".join(part for part in parts if part))

    def write(self) -> None:
        """Write the current metrics.json, before every drawing."""
        for name, value in self.figures.items():
            if name.startswith("variance_explained") and value is not None and value < 0:
                self.meaningless[name] = "below 0: the activations' mean alone explains more than the features"
        config = self.config
        described = {"source": str(config.source or "known dictionary"), "seed": config.seed, "sae": asdict(config.sae)}
        write_text(
            self.folder / "metrics.json",
            json_text({**described, **self.figures, "meaningless": self.meaningless}, indent=1) + "\n",
        )

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The figures as rows of a table; meaningless ones are marked."""
        return [
            (
                name.replace("_", " "),
                f"{shown(value)} (meaningless: {why})" if (why := self.meaningless.get(name)) else shown(value),
            )
            for name, value in self.figures.items()
            if name != "curve"
        ]


def known(config: AutoencoderTraining, results: Results) -> None:
    """Learn from signals with a known dictionary; returns the figures and the autoencoder's file."""
    generator = torch.Generator().manual_seed(config.seed)
    true = random_dictionary(N_TRUE, WIDTH, generator)
    signals = sparse_codes(config.n_tokens, N_TRUE, MIXED, generator).abs() @ true
    signals = add_noise(signals, generator, std=0.01)
    cut = max(2, len(signals) // 10)
    sae = fit(config, signals[:-cut], generator, results, Origin())
    learned = sae.decoder.detach()
    results.figures["mean_max_cosine"] = mean_max_cosine(true, learned)
    if len(learned) >= N_TRUE:
        results.figures["recovered"] = f"{match_atoms(true, learned).recovered} of {N_TRUE}"
    results.figures |= asdict(measure(sae, signals[-cut:]))
    results.write()
    draw(config, results, signals[:-cut], signals[-cut:], "a known dictionary")


def in_a_model(config: AutoencoderTraining, source: Path, results: Results) -> None:
    """Learn from a GPT's activations, or load an autoencoder; writes the figures, the autoencoder and the page.

    Raises:
        FileNotFoundError, ValueError: there is no such model, text or layer; there are too few tokens; the autoencoder is
            for another model or layer; or the map needs a missing package.
    """
    require(config.map)
    console = results.console
    opened = open_model(source, device="cpu", warn=lambda text: console.print(text, markup=False))
    folder, model, tokenizer = opened.folder or source, opened.model, opened.tokenizer
    loaded = None if config.load is None else fitting(config, model)
    layer = (loaded[1].layer if loaded else config.layer) or f"h.{model.config.n_layer // 2}"
    skips = loaded[1].skip_first if loaded else config.skip_first
    texts = texts_of_run(folder, tokenizer) if config.data is None else RunTexts(read_texts(config.data))
    train_pieces, held_pieces = split_sequences(texts, tokenizer, model.config.block_size, config.n_tokens)
    results.figures["layer"] = layer
    console.print(f"collecting activations of {layer} ...", markup=False, highlight=False)
    train, every = collect(model, layer, train_pieces), collect(model, layer, held_pieces)
    rest = every.without_first()
    held_out = rest if skips else every
    if loaded:
        sae = loaded[0]
    else:
        origin = Origin(model_name(config.source), weights_sha256(model), layer, skips)
        train = train.without_first() if skips else train
        sae = fit(config, train.activations, torch.Generator().manual_seed(config.seed), results, origin)
    recovered = splice(model, layer, sae, held_pieces, keep_first=skips)
    results.figures |= {
        "text": str(config.data or "the run's own"),
        "tokens": len(train.tokens),
        "skip_first": skips,
        **asdict(measure(sae, held_out.activations)),
        "variance_explained_with_first": explained(sae, every.activations),
        "variance_explained_without_first": explained(sae, rest.activations),
        "loss_recovered": recovered.recovered,
        **{f"loss_{name}": value for name, value in asdict(recovered).items()},
    }
    if recovered.meaningless:
        results.meaningless["loss_recovered"] = recovered.meaningless
    results.write()
    with torch.no_grad():
        codes = sae.encode(held_out.activations)
    title = f"Features of {source.absolute().name}, {layer}"
    html = feature_page(
        title, results.rows, sae, codes, held_out, lambda token: tokenizer.decode([token]), config.n_shown, config.map
    )
    write_text(results.folder / "features.html", html)
    draw(config, results, train.activations, held_out.activations, title)


def fitting(config: AutoencoderTraining, model: GPT) -> tuple[SparseAutoencoder, Origin]:
    """Load the autoencoder of --load, and check that it belongs to this model and layer.

    Raises:
        FileNotFoundError, ValueError: as `load_autoencoder`, or it does not match.
    """
    assert config.load is not None
    sae, origin = load_autoencoder(config.load)
    if config.layer not in (None, origin.layer):
        raise ValueError(f"{config.load} is of layer {origin.layer}, but --layer is {config.layer}: leave --layer out")
    if origin.model_sha256 != weights_sha256(model):
        raise ValueError(
            f"{config.load} was learned from another model ({origin.model or 'unnamed'}, weights "
            f"{origin.model_sha256[:12] or 'unknown'}…): name the run of that model"
        )
    return sae, origin


def explained(sae: SparseAutoencoder, activations: Float[Tensor, "n d"]) -> float | None:
    """The variance explained, or None if the variance is zero."""
    varies = len(activations) > 1 and bool((activations != activations[0]).any())
    return measure(sae, activations).variance_explained if varies else None


def fit(
    config: AutoencoderTraining,
    activations: Float[Tensor, "n d"],
    generator: torch.Generator,
    results: Results,
    origin: Origin,
) -> SparseAutoencoder:
    """Learn, and write sae.safetensors."""
    features = f"{config.sae.n_features} features of {len(activations):,} activations"
    start = time.perf_counter()
    with results.console.status(f"learning {features}") as status:
        sae = learn_features(
            activations,
            config.sae,
            generator,
            lambda step: status.update(f"learning {features}: step {step} of {config.sae.steps}"),
        )
    seconds = time.perf_counter() - start
    results.console.print(f"learned {features} in {seconds:.0f} s", markup=False, highlight=False)
    save_autoencoder(results.folder / AUTOENCODER_FILE, sae, origin, seconds=f"{seconds:.1f}")
    return sae


def draw(
    config: AutoencoderTraining,
    results: Results,
    train: Float[Tensor, "n d"],
    held_out: Float[Tensor, "m d"],
    title: str,
) -> None:
    """If requested, measure the curve, add its points to the figures, and draw curve.png."""

    def progress(at: Point) -> None:
        results.console.print(
            f"curve: {at.method:<7} L0 {at.l0:7.2f}  variance explained {at.variance_explained:.4f}",
            markup=False,
            highlight=False,
        )

    if config.curve:
        ks = tuple(k for k in (2, 4, 8, 16, 32) if k <= config.sae.n_features)
        points = curve(train, held_out[:5000], config.sae, ks, (0.02, 0.05, 0.1, 0.2, 0.4), config.seed, progress)
        results.figures["curve"] = as_json(points)
        results.write()
        write_bytes(results.folder / "curve.png", draw_curve(points, title))


def shown(value: object) -> str:
    """A formatted figure."""
    return "none" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def model_name(source: Path | None) -> str:
    """Name of the model for the results folder: the run's, or the run's and the checkpoint's."""
    if source is None:
        return "known"
    parts = [part for part in source.absolute().parts if part not in ("checkpoints", MODEL_FOLDER)]
    return "-".join(parts[-2:]) if parts[-1].startswith("step-") else parts[-1]


def run(config: AutoencoderTraining) -> None:
    """Run the command: learn, write the results, and report the figures."""
    console = Console()
    torch.set_num_threads(config.threads)
    results = Results(config, console)
    with own_place(config.out):
        if config.source is None:
            known(config, results)
        else:
            in_a_model(config, config.source, results)
    for name, value in results.rows:
        console.print(f"{name:<20} {value}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"written to {results.folder}/", highlight=False, soft_wrap=True, markup=False)
