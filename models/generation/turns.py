"""Fair queue of rows that wait for a slot in the engine."""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Owner = tuple[Hashable, ...]
"""An owner's path, such as (client, request); () if there is only one owner."""

Item = TypeVar("Item")


class WaitingLine(Generic[Item]):
    """A queue that is shared fairly among owners: start-time fair queueing (Goyal, Vin and Cheng 1996).

    An item pays for one turn when it leaves the queue, and `pay` is for items that continue. The owner that has paid least
    is next; among equals, the first. Shares are equal at each level of the path: among clients, and within a client among
    its requests. A new owner starts at the amount that the last served owner had paid, so turns cannot be saved up, and
    unused capacity costs nothing. An owner's items are served in their order.
    """

    def __init__(self) -> None:
        self._waiting: dict[Owner, deque[Item]] = {}
        self._present: Counter[Owner] = Counter()  # items of a path, waiting or being served, until they leave
        self._paid: dict[Owner, int] = {}
        self._now: dict[Owner, int] = {}  # what the child served last had paid before
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def join(self, owner: Owner, item: Item) -> None:
        """Add an item after the owner's other items."""
        for part in _parts(owner):
            if not self._present[part]:
                self._paid[part] = self._now.get(part[:-1], 0)
            self._present[part] += 1
        self._waiting.setdefault(owner, deque()).append(item)
        self._size += 1

    def take(self) -> Item:
        """Take the next item; its owner pays for a turn."""
        owner = self._next()
        items = self._waiting[owner]
        item = items.popleft()
        if not items:
            del self._waiting[owner]
        self._size -= 1
        self.pay(owner)
        return item

    def put_back(self, owner: Owner, item: Item) -> None:
        """Return an item to the queue, before the owner's other items."""
        self._waiting.setdefault(owner, deque()).appendleft(item)
        self._size += 1

    def pay(self, owner: Owner) -> None:
        """Pay for one more turn."""
        for part in _parts(owner):
            self._now[part[:-1]] = max(self._now.get(part[:-1], 0), self._paid[part])
            self._paid[part] += 1

    def paid(self, owner: Owner) -> tuple[int, ...]:
        """The owner's payments, level by level; the smaller tuple goes first."""
        return tuple(self._paid[part] for part in _parts(owner))

    def precedes(self, owner: Owner) -> bool:
        """Whether an owner that has paid less than `owner` is waiting."""
        return bool(self._waiting) and self.paid(self._next()) < self.paid(owner)

    def leave(self, owner: Owner) -> None:
        """Report that an item of this owner is done."""
        for part in _parts(owner):
            self._present[part] -= 1
            if not self._present[part]:
                del self._present[part], self._paid[part]
                self._now.pop(part, None)

    def drop(self, is_dropped: Callable[[Item], bool]) -> None:
        """Remove items from the queue permanently."""
        for owner, items in list(self._waiting.items()):
            kept = deque(item for item in items if not is_dropped(item))
            gone = len(items) - len(kept)
            self._size -= gone
            self._waiting[owner] = kept
            if not kept:
                del self._waiting[owner]
            for _ in range(gone):
                self.leave(owner)

    def _next(self) -> Owner:
        return min(self._waiting, key=self.paid)


def _parts(owner: Owner) -> Iterator[Owner]:
    """The path's prefixes, the shortest first: (a,), (a, b)."""
    return (owner[:length] for length in range(1, len(owner) + 1))
