"""User's functions, given by name: "module:function" or "file.py:function"."""

import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from gpt_from_scratch.support.own_modules import import_own
from gpt_from_scratch.support.storage.files import sha256


class UserFunction:
    """A function that is imported by its name, also in each process that it is sent to."""

    def __init__(self, name: str, option: str) -> None:
        """
        Args:
            name: "module:function"; a module is searched on sys.path and in the current folder.
            option: The option that named it, for messages.

        Raises:
            FileNotFoundError, ValueError: there is no such module or function.
        """
        self.name, self.option = name, option
        self._function, module = _found(name, option)
        source = getattr(module, "__file__", None)
        self.described = [name, sha256(Path(source)) if source else ""]
        """Its name, and the SHA-256 of its file: another version may give other data."""

    def __call__(self, argument: Any, where: str) -> Any:
        """Call the function. Raises ValueError, which names the row, for anything that it raises."""
        try:
            return self._function(argument)
        except Exception as error:  # a user's function may raise anything
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise ValueError(
                f"{self.option} {self.name} failed at {where}: {type(error).__name__}: {error} "
                f"({Path(place.filename).name}, line {place.lineno})"
            ) from error

    def __reduce__(self) -> Any:
        return UserFunction, (self.name, self.option)


def _found(name: str, option: str) -> tuple[Callable[[Any], Any], ModuleType]:
    place, _, function = name.rpartition(":")
    if not place or not function:
        raise ValueError(f"{option} is {name!r}: expected module:function or file.py:function")
    module = import_own(place, option)
    found = getattr(module, function, None)
    if not callable(found):
        raise ValueError(f"{option} {name}: {place} has no function {function!r}")
    return found, module
