"""Several processes, one a device, for an eval started by torchrun; one process otherwise."""

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist

_ended: "list[dist.ProcessGroup]" = []
"""Groups that were left, kept until the process ends: gloo's destructor joins its threads while it holds Python's lock, for
which a thread may wait that lets go of the last collective's tensor (torch 2.13: a finished run was seen to hang so)."""


def leave_group() -> None:
    """Leave the process group at the end of the work, without the hang that `destroy_process_group` alone may bring."""
    from torch.distributed.distributed_c10d import _world  # not everywhere: a torch without it runs one process

    _ended.extend(_world.pg_map)
    dist.destroy_process_group()


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
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device, dist.get_rank() == 0
    finally:
        leave_group()
