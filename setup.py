"""The folders lie flat at the root and are imported as ``gpt_from_scratch.*``; the metadata is in pyproject.toml."""

import sys

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

NAME = "gpt_from_scratch"
MAIN = f"{NAME}.__main__"
FOLDERS = ("kernels", "models", "tokenizer", "evals", "training", "benchmarks", "support")

packages = [f"{NAME}.{package}" for package in find_packages(include=[p for f in FOLDERS for p in (f, f"{f}.*")])]
package_dir, modules = {NAME: "."}, [MAIN]


class BuildPy(build_py):
    """The module `MAIN` is no folder whose files could be listed."""

    def find_package_modules(self, package, package_dir):
        return [] if package == MAIN else super().find_package_modules(package, package_dir)


if "editable_wheel" in sys.argv:
    # An editable install finds packages by a table of theirs, and a module inside a package without __init__.py has no
    # row in it: as a "package" it gets one, and the finder takes the file.
    packages, modules, package_dir[MAIN] = [*packages, MAIN], [], "__main__"

setup(package_dir=package_dir, packages=packages, py_modules=modules, cmdclass={"build_py": BuildPy})
