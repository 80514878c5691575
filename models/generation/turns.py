"""The line of rows that wait for a place in the engine, and whose turn it is."""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Owner = tuple[Hashable, ...]
"""A path, such as (client, request); () where all rows are one owner's."""

Item = TypeVar("Item")


class WaitingLine(Generic[Item]):
    """A waiting line whose owners take turns: start-time fair queueing (Goyal, Vin and Cheng 1996).

    An item pays one turn when it leaves the line, and `pay` is for those that go on. The owner who has paid least is next;
    among equals, who came first. At each level of the path shares are equal: those of the clients, and within a client's
    share those of its requests. A newcomer starts at what the one served last had paid, so nobody saves up turns, and
    nobody owes for turns that no other wanted. An owner's items are served in their order.
    """

    def __init__(self) -> None:
        self._waiting: dict[Owner, deque[Item]] = {}
        self._present: Counter[Owner] = Counter()  # items of a path, in line or served, until they leave
        self._paid: dict[Owner, int] = {}
        self._now: dict[Owner, int] = {}  # what the child served last had paid before
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def join(self, owner: Owner, item: Item) -> None:
        """Wait behind the owner's other items."""
        for part in _parts(owner):
            if not self._present[part]:
                self._paid[part] = self._now.get(part[:-1], 0)
            self._present[part] += 1
        self._waiting.setdefault(owner, deque()).append(item)
        self._size += 1

    def take(self) -> Item:
        """The next item; its owner pays for a turn."""
        owner = self._next()
        items = self._waiting[owner]
        item = items.popleft()
        if not items:
            del self._waiting[owner]
        self._size -= 1
        self.pay(owner)
        return item

    def put_back(self, owner: Owner, item: Item) -> None:
        """Wait again, before the owner's other items."""
        self._waiting.setdefault(owner, deque()).appendleft(item)
        self._size += 1

    def pay(self, owner: Owner) -> None:
        """Pay for one more turn."""
        for part in _parts(owner):
            self._now[part[:-1]] = max(self._now.get(part[:-1], 0), self._paid[part])
            self._paid[part] += 1

    def paid(self, owner: Owner) -> tuple[int, ...]:
        """What the owner has paid, level by level: whoever has the smaller tuple goes first."""
        return tuple(self._paid[part] for part in _parts(owner))

    def precedes(self, owner: Owner) -> bool:
        """Whether somebody waits who has paid less than `owner`."""
        return bool(self._waiting) and self.paid(self._next()) < self.paid(owner)

    def leave(self, owner: Owner) -> None:
        """An item of this owner, taken before, is done."""
        for part in _parts(owner):
            self._present[part] -= 1
            if not self._present[part]:
                del self._present[part], self._paid[part]
                self._now.pop(part, None)

    def drop(self, is_dropped: Callable[[Item], bool]) -> None:
        """Take items out of the line for good."""
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
    """The path's beginnings, the shortest first: (a,), (a, b)."""
    return (owner[:length] for length in range(1, len(owner) + 1))
