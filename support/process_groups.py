"""Process group of an eval: one process per device under torchrun, else a single process."""

import contextlib
import time
from collections.abc import Iterator

import torch
import torch.distributed as dist

from gpt_from_scratch.support.devices import choose_device
from gpt_from_scratch.support.torchrun import position

_ended: "list[dist.ProcessGroup]" = []
"""Groups that were left, kept until the process ends: gloo's destructor joins its threads while it holds Python's lock, for
which a thread may wait that lets go of the last collective's tensor (torch 2.13: a finished run was seen to hang so)."""


def leave_group() -> None:
    """Leave the process group at the end of the work, without a possible hang of `destroy_process_group`."""
    from torch.distributed.distributed_c10d import _world  # not everywhere: a torch without it runs one process

    _ended.extend(_world.pg_map)
    dist.destroy_process_group()
    # Such a thread must have had Python's lock before the process ends: one that asks for it then is killed, and the process
    # with it ("terminate called without an active exception", seen on two busy cores).
    time.sleep(0.2)


@contextlib.contextmanager
def ranks(device: str) -> Iterator[tuple[torch.device, bool]]:
    """Context that joins the processes of torchrun; gives this one's device, and whether it reports results.

    Raises:
        ValueError: there is no such device here, or not one for each process; or what the environment says cannot be.
    """
    found = position()
    if found.size == 1:
        yield choose_device(device), True
        return
    place = choose_device(device, found.local_rank)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield place, dist.get_rank() == 0
    finally:
        leave_group()
