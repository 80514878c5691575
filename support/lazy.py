"""Public names of a package that are imported when they are first used, so that importing the package costs nothing."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any


def public_name(package: str, name: str, modules: Mapping[str, str]) -> Any:
    """The value of a public name; it is kept in the package, so that the next use finds it there.

    Args:
        package: The package whose `__getattr__` asks.
        name: The attribute that was asked for.
        modules: Each public name with the module that defines it, as a path below the package.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}; its public names are {', '.join(modules)}")
    value = getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
    setattr(sys.modules[package], name, value)
    return value
