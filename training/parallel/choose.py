"""Choice of a run's strategy, with checks of the number of ranks, and the default micro-batch."""

import torch

from gpt_from_scratch.kernels.cpu_speed import rows_that_fit
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import Ranks


def check_ranks(config: TrainConfig, n_ranks: int) -> None:
    """Check that the batch can be shared among `n_ranks`. Raises ValueError with numbers that work."""
    if config.batch_size < n_ranks:
        raise ValueError(
            f"batch_size {config.batch_size} is less than the {n_ranks} ranks, and each rank needs a row: raise "
            "--batch-size or "
            "lower --nproc-per-node"
        )
    if config.parallel == "fsdp" and config.batch_size % n_ranks:
        raise ValueError(
            f"--parallel fsdp: the ranks compute in step, so {n_ranks} of them must divide batch_size {config.batch_size}; "
            f"{config.batch_size // n_ranks * n_ranks} or {-(-config.batch_size // n_ranks) * n_ranks} would do (--parallel "
            "ddp takes any)"
        )
    if config.parallel == "deterministic":
        leaves = config.batch_size // config.leaf_rows
        if n_ranks & (n_ranks - 1) or n_ranks > leaves:
            allowed = [str(2**i) for i in range(leaves.bit_length())]
            more = "" if n_ranks <= leaves else "; a smaller --micro-batch allows more"
            raise ValueError(
                f"--parallel deterministic adds {leaves} micro-batches of {config.leaf_rows} rows as a binary tree, so it "
                f"takes {', '.join(allowed)} ranks, not {n_ranks}{more}"
            )


def make_strategy(config: TrainConfig, model: GPT, ranks: Ranks, dtype: torch.dtype) -> Strategy:
    """Make the run's strategy. It may replace the model's parameters, so make the optimizers after it."""
    kind = Strategy
    if config.parallel == "deterministic":
        from gpt_from_scratch.training.parallel.deterministic import Deterministic as kind
    elif ranks.size > 1 and config.parallel == "ddp":
        from gpt_from_scratch.training.parallel.ddp import DDP as kind
    elif ranks.size > 1:
        from gpt_from_scratch.training.parallel.fsdp import FSDP as kind
    return kind(model, ranks, dtype, compiles=config.compile)


def rows_at_once(config: TrainConfig, n_ranks: int, device: torch.device) -> int:
    """Default micro-batch of each of `n_ranks` ranks on this device, in rows.

    On a CPU it is smaller if the widest activation, inside the MLP, would be large. The micro-batches then differ as little
    as possible.
    """
    if config.parallel == "deterministic":
        return config.leaf_rows
    part = -(-config.batch_size // n_ranks)
    most = min(part, config.micro_batch or part)
    if device.type != "cpu":
        return most
    inside = config.model.mlp_size * (2 if config.model.activation == "swiglu" else 1)
    most = min(most, rows_that_fit(inside * config.model.block_size * torch.float32.itemsize))
    return -(-part // -(-part // most))
