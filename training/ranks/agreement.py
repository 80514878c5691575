"""Check that all ranks of a run have the same settings, code, data and weights, before the first collective.

Ranks that differ would otherwise train wrongly without an error, or hang in different collectives.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch._C._distributed_c10d import Store

from gpt_from_scratch.training.ranks.rendezvous import AbsentRanksError

TOLD_SECONDS = 10
MOST_NAMED = 6  # maximum number of fields in a message
MOST_CHARACTERS = 40  # maximum characters of a value in a message


class RanksDifferError(ValueError):
    """The ranks of one run were started with different settings, code, data or weights."""


def compare_in(store: Store, rank: int, size: int, about: Mapping[str, Any], timeout_s: float) -> None:
    """Compare the descriptions of all ranks of an attempt through their store, without a collective.

    Raises:
        RanksDifferError: on every rank, naming the fields and the ranks.
        AbsentRanksError: a rank disappeared after the rendezvous.
    """
    text = json.dumps(about, sort_keys=True)
    store.set(f"about/{rank}", text)
    store.set(f"digest/{rank}", hashlib.sha256(text.encode()).hexdigest())
    keys = [f"digest/{other}" for other in range(size)]
    try:
        store.wait(keys, timedelta(seconds=timeout_s))
    except dist.DistError as error:
        missing = [str(other) for other, key in enumerate(keys) if not store.check([key])]
        raise AbsentRanksError(f"rank {', '.join(missing)} started and disappeared: see its output") from error
    if len(set(store.multi_get(keys))) > 1:
        told = difference([json.loads(store.get(f"about/{other}")) for other in range(size)])
        store.set(f"told/{rank}", "")
        if rank == 0:  # the store may end with this process, so wait until the others have read
            with contextlib.suppress(dist.DistError):  # a rank that has not read has died meanwhile
                store.wait([f"told/{other}" for other in range(size)], timedelta(seconds=TOLD_SECONDS))
        raise RanksDifferError(told)


def difference(abouts: Sequence[Mapping[str, Any]]) -> str:
    """Message about the fields in which the ranks differ, with their values and ranks; None if there are none.

    Args:
        abouts: the description of each rank, by rank.
    """
    names = sorted({name for about in abouts for name in about})
    told = []
    for name in names:
        by_value: dict[str, list[int]] = {}
        for rank, about in enumerate(abouts):
            by_value.setdefault(json.dumps(about.get(name)), []).append(rank)
        if len(by_value) > 1:
            values = [f"{_shown(value)} on {_named(ranks)}" for value, ranks in by_value.items()]
            told.append(f"{name}: {', '.join(values[:MOST_NAMED])}{', ...' if values[MOST_NAMED:] else ''}")
    more = f"; and {len(told) - MOST_NAMED} more" if told[MOST_NAMED:] else ""
    return (
        f"the ranks of this run differ in {'; '.join(told[:MOST_NAMED])}{more}.\n"
        "Start all of them with one command line, one version of the code and the same files"
    )


def _shown(value: str) -> str:
    return value if len(value) <= MOST_CHARACTERS else f"{value[:MOST_CHARACTERS]}..."


def _named(ranks: Sequence[int]) -> str:
    """ "rank 3", "ranks 0 to 3", "ranks 0, 2 to 5"."""
    parts: list[list[int]] = []
    for rank in ranks:
        if parts and rank == parts[-1][-1] + 1:
            parts[-1].append(rank)
        else:
            parts.append([rank])
    words = [f"{part[0]} to {part[-1]}" if len(part) > 1 else str(part[0]) for part in parts]
    shown = ", ".join(words[:MOST_NAMED]) + (", ..." if words[MOST_NAMED:] else "")
    return f"rank{'' if len(ranks) == 1 else 's'} {shown}"
