"""A two-dimensional map of features by their directions: two principal components, or UMAP."""

import importlib.util
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.support.command_line.invocation import how_to_install

Method = Literal["pca", "umap"]
ABOUT: dict[Method, str] = {"pca": "two principal components", "umap": "UMAP of their cosines"}
"""Descriptions of the methods."""


def require(method: Method) -> None:
    """Check that the method's package is installed. Raises ValueError with the install command."""
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise ValueError(f"--map umap needs umap-learn: {how_to_install('umap')}; or use --map pca")


def plane_of(directions: Float[Tensor, "m d"], method: Method = "pca") -> Float[Tensor, "m 2"]:
    """Coordinates of the directions, scaled to [-1, 1] on each axis.

    Raises ValueError for UMAP of fewer than four directions.
    """
    places = principal_components(directions) if method == "pca" else umap_embedding(directions)
    return places / places.abs().amax(dim=0).clamp_min(1e-12)


def principal_components(directions: Float[Tensor, "m d"]) -> Float[Tensor, "m 2"]:
    """Coordinates along the two principal components (PCA)."""
    centred = directions - directions.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    # The sign of a component is arbitrary: its largest entry is made positive, so that the map does not flip.
    top = axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)).sign()
    places = centred @ (axes[:2] * top).T
    return torch.nn.functional.pad(
        places, (0, 2 - places.shape[1])
    )  # one feature gives only a point, one dimension only a line


def umap_embedding(directions: Float[Tensor, "m d"]) -> Float[Tensor, "m 2"]:
    """McInnes, Healy & Melville 2018: neighbours stay neighbours, distances mean little. The same for the same directions.

    Raises ValueError for fewer than four directions.
    """
    if len(directions) < 4:
        raise ValueError(f"a map by UMAP needs at least 4 features, there are {len(directions)}: use --map pca")
    from umap import UMAP  # compiles for half a minute the first time

    neighbours = min(15, len(directions) - 1)
    found = UMAP(n_neighbors=neighbours, metric="cosine", random_state=0, n_jobs=1).fit_transform(directions.numpy())
    places = torch.from_numpy(found)
    return places - places.mean(dim=0)
