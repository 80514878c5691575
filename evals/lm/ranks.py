"""Several processes, one a device, for an eval started by torchrun; one process otherwise."""

import contextlib
import os
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def ranks(device: str) -> Iterator[tuple[str, bool]]:
    """Join the processes that torchrun started; gives this one's device, and whether it is the one that reports."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield device, True
        return
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device, torch.distributed.get_rank() == 0
    finally:
        torch.distributed.destroy_process_group()
