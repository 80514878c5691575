"""Every token is a target exactly once an epoch, however the data is cut into shards and however many ranks read it."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.training.data.loader import NO_TARGET, TokenData
from gpt_from_scratch.training.data.packing import best_fit
from gpt_from_scratch.training.data.sampler import rank_part, sample_ids

ragged = st.lists(st.integers(0, 60), min_size=1, max_size=12)
"""Lengths of shards, empty ones and ones shorter than a window among them."""


def stream(lengths: list[int]) -> list[np.ndarray[Any, np.dtype[np.uint16]]]:
    """Shards in which token i of the whole stream is i."""
    return np.split(np.arange(sum(lengths), dtype=np.uint16), np.cumsum(lengths)[:-1])


@settings(max_examples=40, deadline=None)
@given(lengths=ragged, block_size=st.integers(1, 20), n_ranks=st.integers(1, 8), batch_size=st.integers(1, 16))
def test_each_token_is_a_target_exactly_once(
    lengths: list[int], block_size: int, n_ranks: int, batch_size: int
) -> None:
    n_tokens = sum(lengths)
    if n_tokens <= block_size:
        return
    data = TokenData.from_tokens(stream(lengths), block_size)
    seen: list[int] = []
    for step in range(-(-data.n_samples // batch_size)):
        ids = sample_ids(7, step, batch_size, data.n_samples)[: data.n_samples - step * batch_size]  # one epoch
        for rank in range(n_ranks):
            tokens, targets = data.batch(rank_part(ids, rank, n_ranks))
            counted = targets != NO_TARGET
            assert torch.equal(tokens[counted] + 1, targets[counted])  # each target follows its token
            seen += targets[counted].tolist()
    assert sorted(seen) == list(range(1, n_tokens))
    assert data.n_targets == n_tokens - 1


@settings(deadline=None)
@given(lengths=ragged, block_size=st.integers(1, 20))
def test_where_the_shards_end_makes_no_difference(lengths: list[int], block_size: int) -> None:
    if sum(lengths) <= block_size:
        return
    cut = TokenData.from_tokens(stream(lengths), block_size)
    whole = TokenData.from_tokens(np.arange(sum(lengths), dtype=np.uint16), block_size)
    every = np.arange(whole.n_samples)
    for left, right in zip(cut.batch(every), whole.batch(every), strict=True):
        assert torch.equal(left, right)


def test_windows_overlap_by_one_and_the_last_is_filled_up() -> None:
    tokens, targets = TokenData.from_tokens(np.arange(8, dtype=np.uint32), 3).batch(np.array([0, 1, 2]))
    assert tokens.tolist() == [[0, 1, 2], [3, 4, 5], [6, 0, 0]]
    assert targets.tolist() == [[1, 2, 3], [4, 5, 6], [7, -100, -100]]
    assert tokens.dtype == targets.dtype == torch.int64


@pytest.mark.parametrize("n_tokens", [0, 1, 8])
def test_a_context_longer_than_the_data_is_refused(n_tokens: int) -> None:
    with pytest.raises(ValueError, match=f"block_size 8 needs at least 9 tokens, there are {n_tokens}"):
        TokenData.from_tokens(np.zeros(n_tokens, dtype=np.uint16), 8)


def test_samples_that_are_not_there_are_refused() -> None:
    data = TokenData.from_tokens(np.arange(10, dtype=np.uint16), 3)
    for sample in (-1, 3):
        with pytest.raises(IndexError, match=f"sample {sample} of 3"):
            data.batch(np.array([sample]))


def test_a_report_can_say_where_a_sample_lies() -> None:
    data = TokenData.from_tokens(stream([5, 0, 7]), 4)
    assert data.where(0) == "sample 0: 4 tokens from 0 on of part 0"
    assert data.where(2) == "sample 2: 4 tokens from 3 on of part 1"


documents_and_context = st.integers(2, 30).flatmap(
    lambda block_size: st.tuples(st.lists(st.integers(0, block_size - 1), min_size=1, max_size=40), st.just(block_size))
)


@settings(deadline=None)
@given(documents_and_context)
def test_documents_stay_whole_and_each_is_predicted_once(given_: tuple[list[int], int]) -> None:
    """Token ids tell the document; 0 is end of text."""
    lengths, block_size = given_
    documents = [np.full(length, index + 1, dtype=np.uint16) for index, length in enumerate(lengths)]
    data = TokenData.from_documents(documents, block_size, eot_token=0)
    tokens, targets = data.batch(np.arange(data.n_samples))
    assert (tokens[:, 0] == 0).all()  # each row begins at the start of a document
    found: list[list[int]] = []
    for row, followed in zip(tokens.tolist(), targets.tolist(), strict=True):
        counted = [target for target in followed if target != NO_TARGET]
        assert followed == counted + [NO_TARGET] * (block_size - len(counted))  # the rest is at the end
        assert row[: len(counted)] == [0, *counted[:-1]]
        assert counted[-1] == 0
        found.append([])
        for target in counted:
            if target:
                found[-1].append(target)
            else:
                found.append([])
        found.pop()
    expected = [[index + 1] * length for index, length in enumerate(lengths)]
    assert sorted(found) == sorted(expected)
    assert data.n_targets == sum(lengths) + len(lengths)


def test_packing_leaves_little_over_and_any_document_may_come_first() -> None:
    lengths = np.random.default_rng(1).integers(40, 200, 3000)
    data = TokenData.from_documents([np.full(n, 1, dtype=np.uint16) for n in lengths], 512, eot_token=0)
    assert data.n_targets / (data.n_samples * 512) > 0.97
    tokens, _ = data.batch(np.arange(data.n_samples))
    first = (tokens[:, 1:] == 0).int().argmax(dim=1).float()  # the length of each row's first document
    assert abs(first.mean().item() - lengths.mean()) < 8


@settings(deadline=None)
@given(st.lists(st.integers(0, 10), max_size=50))
def test_rows_hold_what_fits(lengths: list[int]) -> None:
    rows = best_fit(lengths, 10)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 10 for row in rows)


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=15), block_size=st.integers(1, 12))
def test_every_token_of_every_document_is_a_target_once_and_long_ones_go_on(
    lengths: list[int], block_size: int
) -> None:
    """Tokens are numbers of their own, so that each target says where it belongs; 0 is the end of a document."""
    starts = np.cumsum([1, *lengths])
    documents = [np.arange(start, start + n, dtype=np.uint16) for start, n in zip(starts, lengths, strict=False)]
    before = {int(token): int(token) - 1 for document in documents for token in document[1:]}
    before |= {int(document[0]): 0 for document in documents if len(document)}
    last = sorted(int(document[-1]) if len(document) else 0 for document in documents)
    data = TokenData.from_documents(documents, block_size, eot_token=0)
    seen: list[int] = []
    ends: list[int] = []
    for sample in range(data.n_samples):
        row = data.row(sample)
        assert 2 <= len(row) <= block_size + 1
        assert isinstance(data.targets, np.ndarray) and len(row) - 1 == data.targets[sample]
        for token, target in zip(row[:-1].tolist(), row[1:].tolist(), strict=True):
            assert target == 0 or before[target] == token  # no target follows a token of another document
            (ends if target == 0 else seen).append(token if target == 0 else target)
    assert sorted(seen) == list(range(1, sum(lengths) + 1)) and sorted(ends) == last
    assert data.n_targets == len(seen) + len(ends)


def test_no_document_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no document"):
        TokenData.from_documents([], 8, eot_token=0)


def test_a_report_can_name_the_documents_of_a_sample() -> None:
    data = TokenData.from_documents([np.zeros(3, dtype=np.uint16)] * 3, 8, eot_token=0)
    assert data.where(0) in ("sample 0: documents 0, 1", "sample 0: documents 1, 0")
    assert data.where(1) == "sample 1: documents 2"
