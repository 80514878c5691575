"""Rows that gave no document: their number by reason, and the position of the first."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gpt_from_scratch.training.data.source import LeftOut

BROKEN = "that are broken"


@dataclass
class LeftOutRows:
    """Counts by reason, each with the first position."""

    kinds: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, row: LeftOut) -> None:
        """Count one more."""
        kind, first = (BROKEN, row.why) if row.broken else (row.why, row.where)
        count, before = self.kinds.get(kind, (0, first))
        self.kinds[kind] = count + 1, before

    @staticmethod
    def of(parts: "Iterable[LeftOutRows]") -> "LeftOutRows":
        """The sum of several, in order."""
        total = LeftOutRows()
        for part in parts:
            for kind, (count, first) in part.kinds.items():
                so_far, before = total.kinds.get(kind, (0, first))
                total.kinds[kind] = so_far + count, before
        return total

    def require_few_broken(self, budget: int) -> None:
        """Check that no more rows are broken than allowed.

        Raises:
            ValueError: names the first of them.
        """
        count, first = self.kinds.get(BROKEN, (0, ""))
        if count > budget:
            more = f"\n{count:,} rows are broken, --max-bad-rows allows {budget:,}" if budget else ""
            raise ValueError(first + more)

    def lines(self) -> list[str]:
        """Summary, one line per reason."""
        return [f"left out: {count:,} rows {kind}; the first: {first}" for kind, (count, first) in self.kinds.items()]
