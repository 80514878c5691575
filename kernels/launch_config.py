"""Launch configurations, and the parser and writer of their text format."""

import re
from dataclasses import dataclass

HEADER = "family       op                    kernel       dtype  size   length  rows  columns  warps  stages  waves"

FAMILIES = ("sm_80", "sm_90", "sm_100", "gfx942")
"""Chip families that the Triton kernels are compiled for."""


@dataclass(frozen=True)
class Config:
    """One launch configuration; triton_tools/configs.py documents the fields."""

    rows: int
    columns: int = 0
    num_warps: int = 4
    num_stages: int = 2
    waves: int = 1

    def options(self) -> dict[str, int]:
        """The compiler's options."""
        return {"num_warps": self.num_warps, "num_stages": self.num_stages}


@dataclass(frozen=True)
class ConfigLine:
    """One line of the table."""

    family: str
    op: str
    kernel: str
    dtype: str
    size: int
    length: int
    config: Config


def parse_table(text: str, origin: str) -> list[ConfigLine]:
    """The lines of a table; the first names the columns.

    Raises:
        ValueError: a line has a wrong number of fields, or a field is not a number.
    """
    lines: list[ConfigLine] = []
    for number, row in enumerate(text.strip().splitlines()[1:], start=2):
        fields = row.split("#")[0].split()
        if not fields:
            continue
        try:
            family, op, kernel, dtype, *figures = fields
            size, length, rows, columns, warps, stages, waves = (int(figure) for figure in figures)
        except ValueError as error:
            raise ValueError(f"{origin}, line {number}: expected {' '.join(HEADER.split())}, got {row!r}") from error
        lines.append(ConfigLine(family, op, kernel, dtype, size, length, Config(rows, columns, warps, stages, waves)))
    return lines


def show_line(line: ConfigLine) -> str:
    """Format the line for a table."""
    config = line.config
    figures = (line.size, line.length, config.rows, config.columns, config.num_warps, config.num_stages, config.waves)
    fields = (line.family, line.op, line.kernel, line.dtype, *map(str, figures))
    widths = [len(field) for field in re.findall(r"\w+\s*", HEADER)]
    return "".join(field.ljust(width) for field, width in zip(fields, widths, strict=True)).rstrip()
