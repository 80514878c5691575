"""Launch configurations and measurements of kernels, and the parsers and writers of their text formats."""

import re
from collections.abc import Iterable, Sequence
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


MEASURED_HEADER = "chip     dtype  size   length  ratio  beside"
NEAR_SIZE, NEAR_LENGTH = 2, 4
"""A measurement speaks for sizes and lengths up to so many times as large or small, if no other is nearer."""


@dataclass(frozen=True)
class Measured:
    """A measurement of an op's Triton kernels: the time of both passes over that of the backend `beside` on the same chip."""

    chip: str
    dtype: str
    size: int
    length: int
    ratio: float
    beside: str

    @property
    def as_fast(self) -> bool:
        """Whether ours took no more time."""
        return self.ratio <= 1

    def __str__(self) -> str:
        return (
            f"on {self.chip} in {self.dtype}, size {self.size}, length {self.length}, "
            f"measured at {self.ratio:.2f} times the time of {self.beside}"
        )


def parse_measured(text: str, origin: str) -> tuple[Measured, ...]:
    """The lines of a table of measurements; the first names the columns.

    Raises:
        ValueError: a line that has another number of fields, or something else where a number belongs.
    """
    lines = []
    for number, row in enumerate(text.strip().splitlines()[1:], start=2):
        try:
            chip, dtype, size, length, ratio, beside = row.split()
            lines.append(Measured(chip, dtype, int(size), int(length), float(ratio), beside))
        except ValueError as error:
            raise ValueError(
                f"{origin}, line {number}: expected {' '.join(MEASURED_HEADER.split())}, got {row!r}"
            ) from error
    return tuple(lines)


def show_measured(lines: Iterable[Measured]) -> str:
    """The lines as a table has them."""
    widths = [len(field) for field in re.findall(r"\w+\s*", MEASURED_HEADER)]
    rows = [(m.chip, m.dtype, str(m.size), str(m.length), f"{m.ratio:.2f}", m.beside) for m in lines]
    texts = ("".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join((MEASURED_HEADER, *texts))


def nearest(lines: Sequence[Measured], dtype: str, size: int, length: int) -> Measured | None:
    """The measurement that speaks for this dtype, size and length; None where there is none."""
    lines = [line for line in lines if line.dtype == dtype]
    if (known := _nearest(size, sorted({line.size for line in lines}), NEAR_SIZE)) is None:
        return None
    lines = [line for line in lines if line.size == known]
    known = _nearest(length, sorted({line.length for line in lines}), NEAR_LENGTH)
    return next((line for line in lines if line.length == known), None)


def _nearest(value: int, known: Sequence[int], factor: int) -> int | None:
    """The nearest by ratio, where it is within the factor. Only products are compared: `value` may be symbolic."""
    if not known:
        return None
    found = known[0]
    for candidate in known[1:]:
        if value * value >= found * candidate:
            found = candidate
    return found if found <= factor * value and value <= factor * found else None
