"""The samples that a step trains on: a pure function of (seed, step, batch size), the same for any number of ranks.

It has no state, so a run can resume at any step at once. Every sample occurs exactly once per epoch.
"""

import hashlib

import numpy as np
from jaxtyping import Int, UInt64

ROUNDS = 48


def sample_ids(seed: int, step: int, batch_size: int, n_samples: int) -> Int[np.ndarray, " b"]:
    """The ids of the global batch of `step` (0, 1, …), in order; a rank takes its `rank_part` of it.

    Position p = step · batch_size + i of the endless order is sample π(p mod n_samples), where π is the permutation that
    belongs to (seed, epoch p // n_samples). A batch may span the end of an epoch: nothing is dropped.
    """
    if step < 0 or batch_size < 1 or n_samples < 1:
        raise ValueError(
            f"step {step}, batch_size {batch_size}, n_samples {n_samples}: steps count from 0, and a batch and the data "
            "have at least one sample"
        )
    return samples_at(seed, step * batch_size, batch_size, n_samples)  # a Python int: no overflow however long the run


def samples_at(seed: int, first: int, n: int, n_samples: int) -> Int[np.ndarray, " n"]:
    """The samples at positions `first` to `first + n` (exclusive) of the endless order."""
    ids = np.empty(n, dtype=np.int64)
    filled = 0
    while filled < n:
        epoch, start = divmod(first + filled, n_samples)
        count = min(n_samples - start, n - filled)
        places = np.arange(start, start + count, dtype=np.uint64)
        ids[filled : filled + count] = permuted(places, n_samples, round_keys(seed, epoch))
        filled += count
    return ids


def rank_part(ids: Int[np.ndarray, " b"], rank: int, n_ranks: int) -> Int[np.ndarray, " part"]:
    """The contiguous part of a global batch for `rank` of `n_ranks`; sizes differ by at most one."""
    if not 0 <= rank < n_ranks:
        raise ValueError(f"rank {rank} of {n_ranks}: ranks count from 0")
    return ids[rank * len(ids) // n_ranks : (rank + 1) * len(ids) // n_ranks]


def round_keys(seed: int, epoch: int) -> UInt64[np.ndarray, " r"]:
    """The keys of one epoch's permutation: SHAKE-256 of (seed, epoch)."""
    digest = hashlib.shake_256(f"samples {seed} {epoch}".encode()).digest(8 * ROUNDS)
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def permuted(places: UInt64[np.ndarray, " b"], n: int, keys: UInt64[np.ndarray, " r"]) -> UInt64[np.ndarray, " b"]:
    """π(place) for each place in 0 … n-1: a permutation of any size without a table, in constant time and memory.

    Swap-or-not (Hoang, Morris, Rogaway 2012): each round pairs x with K - x mod n, and swaps the two or not by one hashed
    bit of the pair. A round keeps the distance of two values with probability one half, so after 48 rounds no pair keeps
    it.
    """
    values, size = places, np.uint64(n)
    for key in keys:
        partner = (key % size + size - values) % size
        # The pair's bit: the highest of SplitMix64's finalizer (Steele, Lea, Flood 2014) of the larger of the two.
        mixed = np.maximum(values, partner) ^ key
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        values = np.where(mixed >> np.uint64(63), partner, values)
    return values


def dropout_seed(seed: int, step: int, sample: int) -> int:
    """The seed of what is dropped in a micro-batch that begins with this sample: the same for any number of ranks."""
    return int.from_bytes(hashlib.shake_256(f"dropout {seed} {step} {sample}".encode()).digest(7), "little")
