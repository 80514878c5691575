"""The page of features: tokens by how much a feature fires, its examples, and the map."""

from collections.abc import Iterator

import pytest
import torch

from gpt_from_scratch.models.dictionary.gpt_sites import Collected
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from gpt_from_scratch.training.features.feature import strongest_features
from gpt_from_scratch.training.features.map import plane_of
from gpt_from_scratch.training.features.page import feature_page


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def page_of(codes: torch.Tensor, sequence: list[int], tokens: list[int]) -> str:
    sae = SparseAutoencoder(4, SparseAutoencoderConfig(n_features=codes.shape[1], k=1))
    with torch.no_grad():
        sae.decoder.copy_(torch.eye(4)[: codes.shape[1]])
    collected = Collected(torch.zeros(len(codes), 4), torch.tensor(tokens), torch.tensor(sequence))
    return feature_page("t", [("figure", "1")], sae, codes, collected, lambda token: "abcdefgh"[token])


def test_tokens_are_coloured_by_how_much_the_feature_fires() -> None:
    codes = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    page = page_of(codes, [0, 0, 0, 1, 1], [0, 1, 2, 3, 4])
    assert '<span>a</span><span class="a8">b</span><span class="a4">c</span></div>' in page
    assert "<span>d</span>" not in page, "another text's tokens are not shown"
    assert "feature 0" in page and "feature 1" not in page, "a feature that never fires has nothing to show"
    assert "fires on 40.00% of tokens" in page


def test_examples_come_from_different_texts_strongest_first() -> None:
    codes = torch.tensor([[1.0], [3.0], [2.0], [0.0], [5.0]])
    collected = Collected(torch.zeros(5, 4), torch.arange(5), torch.tensor([0, 0, 1, 1, 2]))
    (feature,) = strongest_features(codes, collected, 0)
    assert feature.peaks == (4, 1, 2) and feature.density == pytest.approx(0.8) and feature.strongest == 5


def test_a_feature_is_named_by_the_tokens_on_which_it_fires_most_in_all() -> None:
    codes = torch.tensor([[1.0], [3.0], [2.0], [0.0], [4.0]])
    collected = Collected(torch.zeros(5, 4), torch.tensor([7, 2, 7, 9, 7]), torch.tensor([0, 0, 1, 1, 2]))
    (feature,) = strongest_features(codes, collected, 0)
    assert feature.tokens == ((7, pytest.approx(0.7)), (2, pytest.approx(0.3)))


def test_the_map_is_the_plane_of_most_variance() -> None:
    """Directions that differ only in two of five dimensions are shown as they are, up to the axes' order and scale."""
    plane = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    directions = torch.zeros(4, 5)
    directions[:, [1, 4]] = plane
    found = plane_of(directions)
    assert found.abs().amax(dim=0).tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(
        found.abs(), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.sum(dim=0), torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.harness
def test_umap_keeps_what_is_alike_together() -> None:
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(40, 8, generator=generator) * 0.1
    directions[:20, 0], directions[20:, 1] = 1, 1
    found = plane_of(directions, "umap")
    torch.testing.assert_close(found, plane_of(directions, "umap"))
    within = max(float((group - group.mean(dim=0)).norm(dim=1).max()) for group in (found[:20], found[20:]))
    assert float((found[:20].mean(dim=0) - found[20:].mean(dim=0)).norm()) > 2 * within
    with pytest.raises(ValueError, match="at least 4 features, there are 3"):
        plane_of(directions[:3], "umap")
