"""Curves of variance explained over L0: autoencoders, K-SVD and random directions."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from torch import Tensor

from gpt_from_scratch.models.dictionary.ksvd import KSVDConfig, learn_dictionary, sparse_encode
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoderConfig, learn_features, measure
from gpt_from_scratch.models.dictionary.synthetic import random_dictionary
from gpt_from_scratch.support.pages.theme import COLORS, FLOOR
from gpt_from_scratch.training.drawing import bare, outside, plain_text, png

Method = Literal["topk", "l1", "K-SVD", "random"]
METHOD_COLORS: dict[str, str] = {"topk": COLORS[0], "l1": COLORS[1], "K-SVD": COLORS[2], "random": FLOOR}
KSVD_SIGNALS = 3000
"""Maximum number of activations for K-SVD, whose search for codes takes a hundred times an encoder's time."""


@dataclass(frozen=True)
class Point:
    """The result of one dictionary on the held-out activations."""

    method: Method
    setting: float
    l0: float
    variance_explained: float


def curve(
    train: Float[Tensor, "n d"],
    held_out: Float[Tensor, "m d"],
    config: SparseAutoencoderConfig,
    ks: tuple[int, ...],
    penalties: tuple[float, ...],
    seed: int = 0,
    progress: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """Measure every method at every sparsity on held-out activations, with dictionaries of one size.

    `progress` is called with each point.

    K-SVD and the random directions see centred activations and get their codes by matching pursuit, so their codes are
    better than an encoder's; the curve then shows the quality of the dictionary alone.
    """
    points: list[Point] = []
    for kind, settings in (("topk", ks), ("l1", penalties)):
        for setting in settings:
            changes = {"k": int(setting)} if kind == "topk" else {"l1": setting}
            at = replace(config, kind=kind, **changes)  # type: ignore[arg-type]
            fidelity = measure(learn_features(train, at, torch.Generator().manual_seed(seed)), held_out)
            points.append(Point(at.kind, setting, fidelity.l0, fidelity.variance_explained))
            progress(points[-1])
    mean = train.mean(dim=0)
    scale = (train - mean).square().sum(dim=1).mean().rsqrt()
    signals, wanted = (train - mean) * scale, (held_out - mean) * scale
    total = (held_out - held_out.mean(dim=0)).square().sum() * scale**2
    for k in ks:
        if k >= train.shape[1]:
            continue
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(signals), generator=generator)[: max(KSVD_SIGNALS, config.n_features)]
        ksvd = KSVDConfig(n_atoms=config.n_features, n_nonzero=k, iterations=5, restarts=1, split_every=0)
        learned = learn_dictionary(signals[rows], ksvd, generator).atoms
        random = random_dictionary(config.n_features, train.shape[1], generator)
        for method, atoms in (("K-SVD", learned), ("random", random)):
            left = wanted - sparse_encode(wanted, atoms, k) @ atoms
            points.append(Point(method, k, float(k), float(1 - left.square().sum() / total)))  # type: ignore[arg-type]
            progress(points[-1])
    return points


def as_json(points: list[Point]) -> list[dict[str, object]]:
    """Convert the points for metrics.json."""
    return [asdict(point) for point in points]


def draw_curve(points: list[Point], title: str) -> bytes:
    """Draw one line per method, as a PNG."""
    with plain_text():
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axis = figure.add_subplot()
        for method, color in METHOD_COLORS.items():
            line = sorted((point.l0, point.variance_explained) for point in points if point.method == method)
            if line:
                axis.plot(*zip(*line, strict=True), "o-", color=color, label=method)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.set_ylim(bottom=max(axis.get_ylim()[0], -0.1))
        axis.set_xlabel("L0: codes that are not 0, mean over held-out activations")
        axis.set_ylabel("variance explained")
        axis.set_title(outside(title), fontsize=10)
        bare(axis)
        if points:
            axis.legend(frameon=False)
        return png(figure)
