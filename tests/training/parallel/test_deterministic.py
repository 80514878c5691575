"""The tree of sums on one rank; more ranks are in test_ranks.py."""

from collections.abc import Iterator

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.parallel.deterministic import Deterministic
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import ONE_RANK

CONFIG = GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=2, n_embd=16)


@pytest.fixture(autouse=True)
def _own_threads() -> Iterator[None]:
    """The deterministic mode sets the process's threads."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("leaves", [1, 2, 8])
def test_gradients_loss_and_norm_are_those_of_the_plain_sum(leaves: int) -> None:
    torch.manual_seed(0)
    tokens = torch.randint(CONFIG.vocab_size, (8, CONFIG.block_size))
    targets = torch.randint(CONFIG.vocab_size, tokens.shape)
    batches = list(zip(tokens.chunk(leaves), targets.chunk(leaves), strict=True))
    results = []
    for kind in (Strategy, Deterministic):
        torch.manual_seed(1)
        strategy = kind(GPT(CONFIG), ONE_RANK, torch.float32)
        for _ in range(2):  # the second step uses the buffers of the first
            loss = strategy.accumulate(batches, float(targets.numel()))
            norm = strategy.clip(0.5)
            gradients = [p.grad.clone() for p in strategy.model.parameters() if p.grad is not None]
            strategy.model.zero_grad(set_to_none=True)
        results.append([loss, norm, *gradients])
    assert len(results[0]) == 2 + len(list(GPT(CONFIG).parameters()))
    for plain, tree in zip(*results, strict=True):
        torch.testing.assert_close(tree, plain)


def test_buffers_are_those_of_one_tree() -> None:
    strategy = Deterministic(GPT(CONFIG), ONE_RANK, torch.float32)
    tokens = torch.zeros(1, CONFIG.block_size, dtype=torch.int64)
    for _ in range(2):
        strategy.accumulate([(tokens, tokens)] * 8, 8.0 * CONFIG.block_size)
    assert len(strategy.free) == 4  # sums of 4, 2 and 1 micro-batches, and the next one
