"""Check of settings that are annotated with a `Literal`, such as `Literal["topk", "l1"]`."""

import dataclasses
import functools
import types
import typing
from typing import Any, Literal


def check_choices(settings: Any, prefix: str = "") -> None:
    """Check every field of a dataclass's instance that is annotated with a `Literal`.

    The command line checks choices itself; this covers the use from Python.

    Raises:
        ValueError: a field has another value; names the field (after `prefix`), its value and the choices.
    """
    for name, (words, others) in _choices(settings.__class__).items():
        value = getattr(settings, name)
        if value not in words and not isinstance(value, others):
            raise ValueError(f"{prefix}{name} is {value!r}: it is one of {', '.join(map(repr, words))}")


@functools.cache
def _choices(kind: type[Any]) -> dict[str, tuple[tuple[object, ...], tuple[type[Any], ...]]]:
    """Each such field's words, and the other types that its annotation allows."""
    hints = typing.get_type_hints(kind)
    found = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
        words = [word for part in parts if typing.get_origin(part) is Literal for word in typing.get_args(part)]
        if words:
            found[field.name] = tuple(words), tuple(part for part in parts if isinstance(part, type))
    return found
