"""Rendezvous of the ranks of one attempt, in a store that earlier attempts have used.

torchrun restarts its workers in place and, in torch 2.13, keeps one store for all attempts, without a prefix for each (the
class of pytorch#135712): the ranks read addresses of dead ranks, and hang. The number of restarts cannot be the prefix:
each host counts its own, and a host that joins or leaves restarts the others without counting. So the ranks agree on a new
prefix. Each writes a random name, and rank 0 publishes the list of names. A name left by a dead rank is overwritten by the
rank that replaces it.
"""

import hashlib
import json
import secrets
import time

from torch._C._distributed_c10d import PrefixStore, Store

HELLO, WELCOME, HERE, GO = "gpt_from_scratch/hello/{}", "gpt_from_scratch/welcome", "{}/here/{}", "{}/go"
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.3  # polling interval of the store, in seconds


class AbsentRanksError(RuntimeError):
    """Some ranks did not start in time."""


def meet(store: Store, rank: int, size: int, timeout_s: float) -> Store:
    """Wait for all `size` ranks of this attempt, and return a part of `store` that only they use.

    Raises:
        AbsentRanksError: not all ranks started within `timeout_s` seconds.
    """
    name = secrets.token_hex(8)
    store.set(HELLO.format(rank), name)
    deadline, pause = time.monotonic() + timeout_s, FIRST_PAUSE
    while True:
        prefix = _welcomed(store, name, size) if rank == 0 else _prefix_that_names(store, rank, name, size)
        if prefix is not None:
            store.set(HERE.format(prefix, rank), "")
            if rank == 0 and store.check([HERE.format(prefix, other) for other in range(size)]):
                store.set(GO.format(prefix), "")
            if store.check([GO.format(prefix)]):
                return PrefixStore(prefix, store)
        if time.monotonic() > deadline:
            raise AbsentRanksError(
                f"rank {rank} waited {timeout_s:g} s for all {size} ranks to start; {_absent(store, prefix, size)}. See "
                "their output, and whether their hosts can reach this one; --run.patience sets the timeout"
            )
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _welcomed(store: Store, name: str, size: int) -> str | None:
    """Rank 0: publish the list of names, again whenever a name changes."""
    hellos = [HELLO.format(rank) for rank in range(1, size)]
    if not store.check(hellos):
        return None
    names = [name, *(said.decode() for said in store.multi_get(hellos))] if hellos else [name]
    store.set(WELCOME, json.dumps(names))
    return _prefix(names)


def _prefix_that_names(store: Store, rank: int, name: str, size: int) -> str | None:
    """Other ranks: wait until rank 0's list has this process's name, and return the attempt's prefix."""
    if not store.check([WELCOME]):
        return None
    names = json.loads(store.get(WELCOME))
    return _prefix(names) if len(names) == size and names[rank] == name else None


def _prefix(names: list[str]) -> str:
    return f"gpt_from_scratch/{hashlib.sha256(' '.join(names).encode()).hexdigest()[:16]}"


def _absent(store: Store, prefix: str | None, size: int) -> str:
    """Message about the missing ranks, as far as this rank knows."""
    keys = [HELLO.format(rank) if prefix is None else HERE.format(prefix, rank) for rank in range(size)]
    missing = [rank for rank, key in enumerate(keys) if not store.check([key])]
    return f"missing: {', '.join(f'rank {rank}' for rank in missing)}" if missing else "rank 0 did not welcome it"
