"""Whole documents into rows of a fixed length, with little left over."""

import bisect
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int


def best_fit(
    lengths: Sequence[int] | Int[np.ndarray, " n"], capacity: int, *, begun: Sequence[int] = ()
) -> list[list[int]]:
    """Rows of document indices: each document, in order, goes into the fullest row that still has room for it.

    The first rows have as much in them already as `begun` says. Every length must be from 0 to `capacity`. Documents are
    taken as they come and not by falling length: sorting would fill the rows a little better, but put long documents
    together, and what a row begins with would no longer be distributed as the documents are.
    """
    rows: list[list[int]] = [[] for _ in begun]
    open_rows: dict[int, list[int]] = {}  # room left -> rows with exactly that room
    for row, taken in enumerate(begun):
        open_rows.setdefault(capacity - taken, []).append(row)
    rooms = sorted(open_rows)  # ascending
    for document, length in enumerate(int(length) for length in lengths):
        place = bisect.bisect_left(rooms, length)
        if place == len(rooms):
            row, room = len(rows), capacity
            rows.append([])
        else:
            room = rooms[place]
            row = open_rows[room].pop()
            if not open_rows[room]:
                del open_rows[room], rooms[place]
        rows[row].append(document)
        if (left := room - length) not in open_rows:
            open_rows[left] = []
            bisect.insort(rooms, left)
        open_rows[left].append(row)
    return rows
