"""Which strategy a run takes, and what each needs of the number of ranks."""

import torch

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.distributed import Ranks
from gpt_from_scratch.training.parallel.strategy import Strategy


def check_ranks(config: TrainConfig, n_ranks: int) -> None:
    """Raises ValueError where a batch cannot be shared among so many ranks, with what can."""
    if config.batch_size < n_ranks:
        raise ValueError(
            f"batch_size {config.batch_size} is less than the {n_ranks} ranks, and each needs a row: raise --batch-size or "
            "lower --nproc-per-node"
        )


def make_strategy(config: TrainConfig, model: GPT, ranks: Ranks, dtype: torch.dtype) -> Strategy:
    """The run's strategy. It may replace the model's parameters, so the optimizers come after it."""
    if ranks.size == 1:
        return Strategy(model, ranks, dtype, compiles=config.compile)
    from gpt_from_scratch.training.parallel.ddp import DDP

    return DDP(model, ranks, dtype, compiles=config.compile)
