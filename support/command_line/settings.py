"""Settings that are numbers: each is checked before anything is made of it, wherever the settings come from."""

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
"""A float of which infinity is a good value: the limit that is never reached. In JSON it is "inf"."""
Threads = Annotated[int, range(1, 1025)]
"""A number of threads or processes; a hundred thousand of them end a process without a word."""
LARGEST = 2**63 - 1
"""The largest whole number that torch and numpy take."""


@dataclasses.dataclass(frozen=True)
class AtMost:
    """A mark of a whole number with a bound above; what it must be at least, its settings say in their own words."""

    bound: int


Many = Annotated[int, AtMost(10**7)]
"""A number of things that are made, or held in memory, at once: beyond its bound nothing but the memory's end would come."""
Blocks = Annotated[int, AtMost(4096)]
"""A number of modules in a model, each an object of its own; the deepest transformers have had a thousand."""


def check_settings(settings: Any, prefix: str = "") -> None:
    """Check every field of a dataclass's instance: numbers are finite and not too large, words are one of theirs.

    Raises:
        ValueError: a field that is not; names the field (after `prefix`), what it is and what it may be.
    """
    check_choices(settings, prefix)
    for name, marks in _marks(settings.__class__).items():
        value = getattr(settings, name)
        for number in value if isinstance(value, tuple) else (value,):
            if expected := _wrong(number, marks):
                raise ValueError(f"{prefix}{name} is {value}: it must be {expected}")


def _wrong(number: object, marks: tuple[object, ...]) -> str | None:
    """What a number must be that is not so; None for one that is well, and for what is no number."""
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
    """A dataclass with the settings of several: subclasses of `shared`, each with some of its own.

    Raises:
        TypeError: two of them declare a setting of one name.
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
    """The fields of a dataclass, each with what its annotation is marked with."""
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
