"""The folders lie flat at the root and are imported as ``gpt_from_scratch.*``; the metadata is in pyproject.toml."""

from setuptools import find_packages, setup

NAME = "gpt_from_scratch"
FOLDERS = ("kernels", "models", "tokenizer", "evals", "training", "benchmarks", "support")

setup(
    package_dir={NAME: "."},
    packages=[f"{NAME}.{package}" for package in find_packages(include=[p for f in FOLDERS for p in (f, f"{f}.*")])],
)
