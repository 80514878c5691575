"""Requirements of each strategy on the batch and the ranks."""

import dataclasses

import pytest
import torch

from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.training.config import TrainConfig, differences
from gpt_from_scratch.training.parallel.choose import check_ranks, rows_at_once

CPU = torch.device("cpu")


def test_fsdp_needs_ranks_that_divide_the_batch() -> None:
    config = TrainConfig(batch_size=10, parallel="fsdp")
    check_ranks(config, 5)
    with pytest.raises(ValueError, match=r"4 of them must divide batch_size 10; 8 or 12 would do"):
        check_ranks(config, 4)
    check_ranks(TrainConfig(batch_size=10), 4)


def test_every_rank_needs_a_row() -> None:
    with pytest.raises(ValueError, match="less than the 8 ranks"):
        check_ranks(TrainConfig(batch_size=4), 8)


def test_a_tree_needs_powers_of_two() -> None:
    config = TrainConfig(batch_size=24, parallel="deterministic")
    assert rows_at_once(config, 1, CPU) == rows_at_once(config, 8, CPU) == config.leaf_rows == 3
    for n_ranks in (1, 2, 4, 8):
        check_ranks(config, n_ranks)
    with pytest.raises(ValueError, match=r"takes 1, 2, 4, 8 ranks, not 3$"):
        check_ranks(config, 3)
    with pytest.raises(ValueError, match=r"not 16; a smaller --micro-batch allows more"):
        check_ranks(config, 16)
    with pytest.raises(ValueError, match=r"batch_size 24 must be 1, 2, 4, 8, ... times micro_batch 4"):
        dataclasses.replace(config, micro_batch=4)
    with pytest.raises(ValueError, match="micro_batch 48"):
        dataclasses.replace(config, micro_batch=48)


def test_the_way_of_sharing_may_change_on_resume() -> None:
    saved = TrainConfig(batch_size=8)
    assert differences(saved, dataclasses.replace(saved, parallel="fsdp")) == []


def test_a_cpu_computes_no_more_rows_at_a_time_than_keep_activations_small() -> None:
    """GPT-2's MLP is 12 MiB wide for a row of 1024 tokens: one row stays within 16."""
    config = TrainConfig(batch_size=16, micro_batch=8, model=GPTConfig())
    assert rows_at_once(config, 1, torch.device("cuda")) == 8
    assert rows_at_once(config, 1, CPU) == rows_at_once(config, 4, CPU) == 1
    small = GPTConfig(block_size=1024, n_embd=64, n_head=1)
    assert rows_at_once(dataclasses.replace(config, model=small), 1, CPU) == 8
    assert rows_at_once(dataclasses.replace(config, model=small, micro_batch=None), 1, CPU) == 16
    evenly = dataclasses.replace(config, model=small, batch_size=20, micro_batch=None)
    assert rows_at_once(evenly, 1, CPU) == 10, "16 would be small enough, but 16 and 4 is no even division"
    longest = GPTConfig(block_size=65536)
    assert rows_at_once(dataclasses.replace(config, model=longest), 1, CPU) == 1
    assert rows_at_once(dataclasses.replace(config, parallel="deterministic"), 1, CPU) == 8, (
        "must not depend on the machine"
    )
