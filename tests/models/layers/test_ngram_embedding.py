"""Each position's vector depends on its last n tokens, and on nothing else."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.models.layers.ngram_embedding import NgramEmbedding


def made(n: int, buckets: int, vocab_size: int) -> NgramEmbedding:
    torch.manual_seed(0)
    return NgramEmbedding(n, buckets, vocab_size, 4)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(2, 4), st.integers(0, 11))
def test_a_text_in_two_parts_gives_what_the_whole_gives(text: list[int], n: int, cut: int) -> None:
    cut = min(cut, len(text) - 1)
    embedding, tokens = made(n, 1000, 7), torch.tensor([text])
    before = torch.tensor([([-1] * (n - 1) + text[:cut])[-(n - 1) :]])
    assert torch.equal(embedding(tokens[:, cut:], before), embedding(tokens)[:, cut:])


@given(st.lists(st.integers(0, 6), min_size=5, max_size=12), st.integers(2, 4))
def test_only_the_last_n_tokens_count(text: list[int], n: int) -> None:
    embedding = made(n, 1000, 7)
    whole = embedding(torch.tensor([text]))[0, -1]
    other = embedding(torch.tensor([[(token + 1) % 7 for token in text[:-n]] + text[-n:]]))[0, -1]
    assert torch.equal(whole, other)


def test_bigrams_that_fit_the_table_share_no_row_and_longer_ones_few() -> None:
    embedding = made(3, 4_000, 60)
    pairs = torch.tensor(list(itertools.product(range(60), repeat=2)))
    codes = pairs[:, 1] + 1 + (pairs[:, 0] + 1) * embedding.radix
    assert len(embedding.bucket(codes, 2).unique()) == 3_600
    rows = embedding.bucket(torch.arange(4_000) * 61 + 17, 3)  # a step of the radix: trigrams that end alike
    assert int(rows.min()) >= 0 and int(rows.max()) < 4_000
    assert len(rows.unique()) > 4_000 * 0.6  # 0.63 is what chance gives


@pytest.mark.parametrize(("n", "vocab_size"), [(4, 65), (14, 65), (4, 50_257), (7, 50_257)])
def test_codes_beyond_64_bits_stay_inside_the_table(n: int, vocab_size: int) -> None:
    embedding = made(n, 512, vocab_size)
    tokens = torch.randint(vocab_size, (2, 50), generator=torch.Generator().manual_seed(0))
    assert embedding(tokens).shape == (2, 50, 4)


def test_a_single_token_is_no_ngram() -> None:
    with pytest.raises(ValueError, match="at least 2 tokens, not 1"):
        made(1, 512, 65)
