"""N-gram models of the stories, as a baseline for the distance to the floor.

    python -m gpt_from_scratch.benchmarks.learning.stories_ngram [--megabytes 20] [--validation 1000]

Orders 1 to 5 over three units (words with the marks that cling to them, words and marks apart, characters) with three
smoothings: interpolated modified Kneser-Ney and absolute discounting (Chen and Goodman 1999, "An empirical study of
smoothing techniques for language modeling") and Witten-Bell. The score is whole validation stories, their ends included, in
nats a story and as a multiple of the exact floor. A unit of words gets the spaces between them for nothing.
"""

import argparse
import itertools
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, floor_nats, stories

ORDERS = (1, 2, 3, 4, 5)
RESULTS = Path(__file__).parents[1] / "results" / "stories_ngram.txt"
UNITS: dict[str, Callable[[str], Sequence[str]]] = {
    "words": str.split,
    "words and marks": re.compile(r"\w+|[^\w\s]").findall,
    "characters": list,
}
PAD, END = 0, 1
"""The token before a story, never predicted, and the one after it."""
SMALLEST_DISCOUNT = 1e-3
"""Keeps every token possible where the counts of counts ask for no discount at all."""


def encode(texts: Iterable[Sequence[str]], vocabulary: dict[str, int]) -> Int[np.ndarray, " n"]:
    """Token ids of all texts in a row, each between enough PAD for the longest context and one END."""
    ids: list[int] = []
    for text in texts:
        ids += [PAD] * (max(ORDERS) - 1)
        ids += [vocabulary.setdefault(token, len(vocabulary) + 2) for token in text]
        ids.append(END)
    return np.array(ids, dtype=np.int64)


def ngrams(ids: Int[np.ndarray, " n"], order: int, size: int) -> Int[np.ndarray, " m"]:
    """The n-gram that ends at each predicted token, as one number with its tokens for digits in base `size`."""
    places = np.flatnonzero(ids != PAD)
    keys = np.zeros(len(places), dtype=np.int64)
    for back in range(order - 1, -1, -1):
        keys = keys * size + ids[places - back]
    return keys


class Counts(NamedTuple):
    """Sorted n-grams and how often each occurs."""

    keys: Int[np.ndarray, " m"]
    counts: Int[np.ndarray, " m"]


def count(ids: Int[np.ndarray, " n"], size: int) -> list[Counts]:
    """Count all n-grams of each order."""
    return [Counts(*np.unique(ngrams(ids, order, size), return_counts=True)) for order in ORDERS]


def continuations(longer: Counts, order: int, size: int, raw: Counts) -> Counts:
    """Continuation counts: the number of different tokens before each n-gram (Kneser-Ney's lower orders).

    Nothing but PAD can stand before an n-gram that begins with PAD: it keeps its raw count.
    """
    keys, counts = np.unique(longer.keys % size**order, return_counts=True)
    if order > 1:
        counts = np.where(keys // size ** (order - 1) == PAD, raw.counts, counts)
    return Counts(keys, counts)


def discounts(counts: Int[np.ndarray, " m"], *, modified: bool) -> Float[np.ndarray, " m"]:
    """Discount of each count: D1, D2 or D3+ of Chen and Goodman (eq. 26), or one D = n1 / (n1 + 2 n2) for all."""
    n = [int((counts == c).sum()) for c in range(5)]
    share = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.0
    if not modified:
        return np.full(len(counts), max(share, SMALLEST_DISCOUNT))
    by_count = [0.0] + [c - (c + 1) * share * n[c + 1] / n[c] if n[c] else share for c in (1, 2, 3)]
    allowed: NDArray[np.float64] = np.clip(by_count, SMALLEST_DISCOUNT, [1, 1, 2, 3])
    return allowed[np.minimum(counts, 3)]


@dataclass(frozen=True)
class Level:
    """One order: p(token | context) = (kept[context token] + held_back[context] p_lower(token)) / totals[context]."""

    order: int
    size: int
    keys: NDArray[np.int64]
    kept: NDArray[np.float64]
    contexts: NDArray[np.int64]
    totals: NDArray[np.float64]
    held_back: NDArray[np.float64]

    def interpolate(self, keys: Int[np.ndarray, " n"], lower: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The probability of the last token of each of `keys`, from that which the shorter context gives it."""
        context = np.minimum(np.searchsorted(self.contexts, keys // self.size), len(self.contexts) - 1)
        key = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        kept = np.where(self.keys[key] == keys, self.kept[key], 0.0)
        mixed = (kept + self.held_back[context] * lower) / self.totals[context]
        return np.where(self.contexts[context] == keys // self.size, mixed, lower)


def level(order: int, size: int, counted: Counts, smoothing: str) -> Level:
    """Smooth the counts of one order."""
    contexts, owner = np.unique(counted.keys // size, return_inverse=True)
    totals = np.bincount(owner, counted.counts).astype(np.float64)
    if smoothing == "Witten-Bell":
        kinds = np.bincount(owner).astype(np.float64)
        return Level(order, size, counted.keys, counted.counts.astype(np.float64), contexts, totals + kinds, kinds)
    given = discounts(counted.counts, modified=smoothing == "Kneser-Ney")
    return Level(
        order,
        size,
        counted.keys,
        counted.counts - given,
        contexts,
        totals,
        np.bincount(owner, given).astype(np.float64),
    )


SMOOTHINGS = ("Kneser-Ney", "absolute", "Witten-Bell")


class NGramModel:
    """An interpolated n-gram model of one order over token ids below `size`, of which PAD is never predicted."""

    def __init__(self, counts: Sequence[Counts], order: int, size: int, smoothing: str) -> None:
        self.size = size
        self.levels = []
        for n in range(1, order + 1):
            lower = smoothing == "Kneser-Ney" and n < order
            counted = continuations(counts[n], n, size, counts[n - 1]) if lower else counts[n - 1]
            self.levels.append(level(n, size, counted, smoothing))

    def probabilities(self, ids: Int[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
        """p of each token that is not PAD, given those before it."""
        predicted = int((ids != PAD).sum())
        p = np.full(predicted, 1 / (self.size - 1))
        for part in self.levels:
            p = part.interpolate(ngrams(ids, part.order, self.size), p)
        return p


def main(arguments: list[str] | None = None) -> None:
    """Train and score every model; print the table and write it to RESULTS."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=20, help="training text, in 10^6 characters (default 20)")
    parser.add_argument("--validation", type=int, default=1000, help="validation stories (default 1000)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the table is written")
    options = parser.parse_args(arguments)

    texts, characters = [], 0
    for made in stories(TRAIN_SEED, itertools.count()):
        if characters >= options.megabytes * 1e6:
            break
        texts.append(made.text)
        characters += len(made.text)
    validation = [made.text for made in stories(VALIDATION_SEED, range(options.validation))]
    floor = floor_nats(VALIDATION_SEED, range(options.validation))
    lines = [
        f"{len(texts)} training stories, {characters / 1e6:.2f} MB; {len(validation)} validation stories, "
        f"{sum(map(len, validation)) / len(validation):.1f} characters each; floor {floor / len(validation):.3f} nats a story",
        "",
        f"{'unit':16} {'smoothing':12} {'order':>5} {'nats a story':>13} {'x floor':>8}",
    ]
    print("\n".join(lines))
    best, start = float("inf"), time.perf_counter()
    for unit, split in UNITS.items():
        vocabulary: dict[str, int] = {}
        train = encode(map(split, texts), vocabulary)
        size = len(vocabulary) + 2
        held_out, counts = encode(map(split, validation), vocabulary), count(train, size)
        if len(vocabulary) + 2 > size:
            raise ValueError("the validation stories have tokens that the training text lacks: raise --megabytes")
        for smoothing in SMOOTHINGS:
            for order in ORDERS:
                nats = -float(np.log(NGramModel(counts, order, size, smoothing).probabilities(held_out)).sum())
                best = min(best, nats / floor)
                lines.append(f"{unit:16} {smoothing:12} {order:5} {nats / len(validation):13.3f} {nats / floor:8.3f}")
                print(lines[-1], flush=True)
    lines += ["", f"best: {best:.3f} x the floor"]
    print("\n".join(lines[-2:]), f"({time.perf_counter() - start:.0f} s)")
    options.out.parent.mkdir(exist_ok=True)
    write_text(options.out, "\n".join(["python -m gpt_from_scratch.benchmarks.learning.stories_ngram", "", *lines, ""]))


if __name__ == "__main__":
    main()
