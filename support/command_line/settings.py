"""Checks of numeric settings, before anything is built from them."""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any

from gpt_from_scratch.support.command_line.choices import check_choices

NEVER = "infinity means never"
OrNever = Annotated[float, NEVER]
"""A float that may be infinite, for a limit that is never reached. In JSON it is "inf"."""
Threads = Annotated[int, range(1, 1025)]
"""A number of threads or processes; far too many would crash the process without a message."""
LARGEST = 2**63 - 1
"""The largest whole number that torch and numpy take."""


@dataclasses.dataclass(frozen=True)
class AtMost:
    """Annotation of a whole number with an upper bound. Each settings class checks the lower bound."""

    bound: int


Many = Annotated[int, AtMost(10**7)]
"""A number of things in memory at once; beyond the bound memory would run out."""
Blocks = Annotated[int, AtMost(4096)]
"""A number of modules in a model; the deepest transformers have had a thousand."""


def check_settings(settings: Any, prefix: str = "") -> None:
    """Check every field of a dataclass's instance: numbers are finite and not too large, choices are valid.

    Raises:
        ValueError: a field is invalid; names the field (after `prefix`), its value and the allowed values.
    """
    check_choices(settings, prefix)
    for name, marks in _marks(settings.__class__).items():
        value = getattr(settings, name)
        for number in value if isinstance(value, tuple) else (value,):
            if expected := _wrong(number, marks):
                raise ValueError(f"{prefix}{name} is {value}: it must be {expected}")


def _wrong(number: object, marks: tuple[object, ...]) -> str | None:
    """The violated requirement of a number; None if it is valid or not a number."""
    if isinstance(number, float) and not math.isfinite(number):
        if NEVER not in marks:
            return "a finite number"
        return None if number == math.inf else "a number, or inf for never"
    if isinstance(number, int):
        if abs(number) > LARGEST:
            return "a whole number below 2^63"
        for mark in marks:
            if isinstance(mark, AtMost) and number > mark.bound:
                return f"at most {mark.bound:,}"
            if isinstance(mark, range) and number not in mark:
                return f"from {mark.start} to {mark.stop - 1}"
    return None


def merged(kinds: Iterable[type[Any]], shared: type[Any]) -> type[Any]:
    """Combine several dataclasses, subclasses of `shared`, into one with all settings.

    Raises:
        TypeError: two of them declare the same setting.
    """
    own = [kind for kind in dict.fromkeys(kinds) if kind is not shared]
    known = {field.name for field in dataclasses.fields(shared)}
    owners: dict[str, type[Any]] = {}
    for kind in own:
        for field in dataclasses.fields(kind):
            if field.name not in known and owners.setdefault(field.name, kind) is not kind:
                raise TypeError(f"{kind.__name__} and {owners[field.name].__name__} both have the setting {field.name}")
    return dataclasses.dataclass(frozen=True)(type("AllSettings", (*own, shared), {"__doc__": "All settings."}))


@functools.cache
def _marks(kind: type[Any]) -> dict[str, tuple[object, ...]]:
    """The fields of a dataclass, each with the metadata of its annotation."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
        found[field.name] = tuple(mark for part in parts for mark in getattr(part, "__metadata__", ()))
    return found


def means_never(hint: Any) -> bool:
    """Whether an annotation is `OrNever`."""
    return typing.get_origin(hint) is Annotated and NEVER in hint.__metadata__
