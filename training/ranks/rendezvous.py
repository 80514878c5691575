"""Rendezvous of the ranks of one attempt, in a store that earlier attempts have written to.

torchrun restarts its workers in place and, in torch 2.13, keeps one store for all attempts, without a prefix for each (the
class of pytorch#135712): the ranks read the addresses that dead ones left there, and hang. The number of restarts cannot
be that prefix: each host counts its own, and a host that joins or leaves restarts the others without counting. So the
ranks agree on a prefix that was never used: each says hello with a name drawn now, and rank 0 welcomes the names.
A name left by a dead rank never answers, and is replaced by the one that comes in its place.
"""

import hashlib
import json
import secrets
import time

from torch._C._distributed_c10d import PrefixStore, Store

HELLO, WELCOME, HERE, GO = "gpt_from_scratch/hello/{}", "gpt_from_scratch/welcome", "{}/here/{}", "{}/go"
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.3  # seconds between two looks at the store


class AbsentRanksError(RuntimeError):
    """Some ranks did not come in time."""


def meet(store: Store, rank: int, size: int, timeout_s: float) -> Store:
    """The part of `store` that only the `size` ranks of this attempt use; returns when all of them are there.

    Raises:
        AbsentRanksError: not all came within `timeout_s` seconds.
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
                f"rank {rank} waited {timeout_s:g} s for all {size} ranks to begin; {_absent(store, prefix, size)}. See what "
                "they say, and whether their hosts reach this one; --run.patience sets how long to wait"
            )
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _welcomed(store: Store, name: str, size: int) -> str | None:
    """Rank 0: welcome whoever has said hello, and again when a name changes."""
    hellos = [HELLO.format(rank) for rank in range(1, size)]
    if not store.check(hellos):
        return None
    names = [name, *(said.decode() for said in store.multi_get(hellos))] if hellos else [name]
    store.set(WELCOME, json.dumps(names))
    return _prefix(names)


def _prefix_that_names(store: Store, rank: int, name: str, size: int) -> str | None:
    """Another rank: the attempt's prefix, once rank 0 has welcomed this very process."""
    if not store.check([WELCOME]):
        return None
    names = json.loads(store.get(WELCOME))
    return _prefix(names) if len(names) == size and names[rank] == name else None


def _prefix(names: list[str]) -> str:
    return f"gpt_from_scratch/{hashlib.sha256(' '.join(names).encode()).hexdigest()[:16]}"


def _absent(store: Store, prefix: str | None, size: int) -> str:
    """Who is missing, as far as this rank can tell."""
    keys = [HELLO.format(rank) if prefix is None else HERE.format(prefix, rank) for rank in range(size)]
    missing = [rank for rank, key in enumerate(keys) if not store.check([key])]
    return f"missing: {', '.join(f'rank {rank}' for rank in missing)}" if missing else "rank 0 did not welcome it"
