"""Tables of things in the stories: rows of written forms. A table may belong to a row of another table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One thing in a story: its written forms (``""`` is the first column) and the lists it owns."""

    forms: Mapping[str, str]
    lists: Mapping[str, "Table"] = field(default_factory=dict)


Table = tuple[Row, ...]


def table(header: str, *lines: str, lists: Mapping[str, Mapping[str, Table]] | None = None) -> Table:
    """Parse rows of aligned text: columns are separated by two or more spaces.

    ``lists[column][first form]`` is a row's own list.

    Every column also exists capitalised under its capitalised name (``he`` gives ``He``).

    Raises:
        ValueError: A line has more or fewer columns than the header, or a row's list is missing.
    """
    columns = re.split(r"\s{2,}", header.strip())
    rows = []
    for line in lines:
        cells = re.split(r"\s{2,}", line.strip())
        if len(cells) != len(columns):
            raise ValueError(f"the row {line!r} has {len(cells)} columns, its header {header!r} has {len(columns)}")
        forms = {"": cells[0]}
        for column, cell in zip(columns, cells, strict=True):
            forms[column] = cell
            forms[_capitalised(column)] = _capitalised(cell)
        missing = [name for name, owned in (lists or {}).items() if cells[0] not in owned]
        if missing:
            raise ValueError(f"the row {cells[0]!r} has no list for {missing}")
        rows.append(Row(forms, {name: owned[cells[0]] for name, owned in (lists or {}).items()}))
    return tuple(rows)


def words(text: str) -> Table:
    """A table of one column, ``name``, from words or phrases separated by commas."""
    return table("name", *(word.strip() for word in text.split(",")))


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
