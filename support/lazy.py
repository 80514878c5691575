"""Lazy imports of a package's public names, so that importing the package is fast."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any


def public_name(package: str, name: str, modules: Mapping[str, str]) -> Any:
    """Import a public name and store it in the package.

    Args:
        package: the package whose `__getattr__` calls this.
        name: the requested attribute.
        modules: each public name with the module that defines it, relative to the package.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}; its public names are {', '.join(modules)}")
    value = getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
    setattr(sys.modules[package], name, value)
    return value
