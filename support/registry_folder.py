"""Registry folders: every file in such a folder defines one entry."""

import ast
import importlib
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def names_in(package: ModuleType) -> list[str]:
    """The names of a package's files in the order of the alphabet, without importing any; none that begins with "_"."""
    return sorted(path.stem for folder in package.__path__ for path in Path(folder).glob("[!_.]*.py"))


def classes_read_in(package: ModuleType, name: str) -> list[ast.ClassDef]:
    """The classes that the file `name` of a package defines, read without importing it."""
    paths = (Path(folder, f"{name}.py") for folder in package.__path__)
    text = next(path for path in paths if path.is_file()).read_text(encoding="utf-8")
    return [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]


def is_read_as(node: ast.ClassDef, base: str) -> bool:
    """Whether a class that was read has a base of this name."""
    return any(isinstance(one, ast.Name) and one.id == base for one in node.bases)


def about(package: ModuleType, base: str) -> str:
    """Descriptions of each file's subclass of `base`, from docstrings, without imports."""

    def first_line(name: str) -> str:
        docs = (ast.get_docstring(node) for node in classes_read_in(package, name) if is_read_as(node, base))
        return (next(docs, None) or "").partition("\n")[0].rstrip(".")

    return "; ".join(f'"{name}": {first_line(name)}' for name in names_in(package)) + "."


def literals_read_in(package: ModuleType, name: str, base: str) -> dict[str, object]:
    """The literals that the class in a file gives to its attributes, read without importing it."""
    found: dict[str, object] = {}
    for node in classes_read_in(package, name):
        for line in node.body if is_read_as(node, base) else ():
            if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(line.value, ast.Constant):
                target = line.targets[0] if isinstance(line, ast.Assign) else line.target
                found[ast.unparse(target)] = line.value.value
    return found


def class_in(package: ModuleType, name: str, base: type[T]) -> type[T]:
    """The one subclass of `base` that the file `name` of a package defines.

    Raises:
        TypeError: it defines none, or several.
    """
    module = importlib.import_module(f"{package.__name__}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        has = ", ".join(one.__name__ for one in found) or "none"
        raise TypeError(f"{module.__file__} must define one subclass of {base.__name__}, it has {has}")
    return found[0]


def classes_in(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """The class of every file, by the file's name."""
    return {name: class_in(package, name, base) for name in names_in(package)}
