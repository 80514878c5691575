"""`--compile`: one block's code for all, and none for what evaluation does."""

import pytest
import torch
from torch import nn

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import ONE_RANK

CONFIG = GPTConfig(block_size=16, vocab_size=31, n_layer=3, n_head=2, n_embd=16, position="rotary", bias=False)


def graphs() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.compile
def test_one_graph_serves_all_blocks_and_evaluation_none(monkeypatch: pytest.MonkeyPatch) -> None:
    real = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: real(self, backend="aot_eager", **options))
    torch.manual_seed(0)
    tokens = torch.randint(31, (5, 17))
    batches = [(rows[:, :-1], rows[:, 1:]) for rows in tokens.split(2)]  # the last micro-batch is smaller
    gradients = []
    for compiles in (False, True):
        torch.manual_seed(1)
        strategy = Strategy(GPT(CONFIG), ONE_RANK, torch.float32, compiles=compiles)
        before = graphs()
        strategy.accumulate(batches, 80.0)
        made = graphs() - before
        gradients.append([parameter.grad for parameter in strategy.model.parameters()])
        assert made == (2 if compiles else 0)  # a graph of two rows, and one of one
        with strategy.whole() as model:
            for length in (3, 7, 11):
                model(tokens[:, :length])
        assert graphs() - before == made
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(eager, compiled)
