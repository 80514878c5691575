"""Functions of the user's, by name: "module:function", or "file.py:function"."""

import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from gpt_from_scratch.support.own_modules import import_own
from gpt_from_scratch.support.storage.files import sha256


class UserFunction:
    """A function that is found by its name, and again in each process that it is sent to."""

    def __init__(self, name: str, option: str) -> None:
        """
        Args:
            name: "module:function"; a module is looked for on sys.path and in the current folder.
            option: The option that names it, for messages.

        Raises:
            FileNotFoundError, ValueError: there is no such module or function.
        """
        self.name, self.option = name, option
        self._function, module = _found(name, option)
        source = getattr(module, "__file__", None)
        self.described = [name, sha256(Path(source)) if source else ""]
        """Its name, and the SHA-256 of the file that it is in: another one gives other data."""

    def __call__(self, argument: Any, where: str) -> Any:
        """What the function gives. Raises ValueError, which names the row, for whatever it raises."""
        try:
            return self._function(argument)
        except Exception as error:  # a function of the user's may raise anything, and all of it is theirs to mend
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
