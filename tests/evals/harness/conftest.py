"""Settings of tests that need lm-eval and inspect: they run under `make harness` (pytest -m harness) and nowhere else."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the files unread without the marker: importing them needs the harnesses."""
    wanted = "harness" in str(config.getoption("-m")) and "not harness" not in str(config.getoption("-m"))
    return None if wanted else True
