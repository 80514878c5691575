"""The Triton kernels on the CPU: parity and seeded faults under the interpreter, which needs processes of its own."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpt_from_scratch.kernels.registry import load_ops

if importlib.util.find_spec("triton") is None:
    pytest.skip("no CUDA: nor triton, which has the interpreter", allow_module_level=True)

FOLDER = Path(__file__).parent
RUNS = {
    "float32": ("test_parity.py", "-k", "float32"),
    "float16": ("test_parity.py", "-k", "float16"),
    "gradients": ("test_gradients.py", "-k", "frozen or second"),
    "kernels": ("interpreted_kernels.py",),
    "attention": ("interpreted_attention.py",),
}


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """All of them at once: each is one thread of Python."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("GPT_BACKEND", None)
    started = {
        name: subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(FOLDER / file), *options],
            cwd=FOLDER.parents[1],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, (file, *options) in RUNS.items()
    }
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.mark.interpret
@pytest.mark.timeout(900)  # four processes, each of a minute or more, wherever there are cores for them
@pytest.mark.parametrize("name", RUNS)
def test_interpreted(name: str, runs: dict[str, "subprocess.Popen[str]"]) -> None:
    output, _ = runs[name].communicate()
    assert runs[name].returncode == 0, output
    summary = output.strip().splitlines()[-1]  # the lines before may name a seeded fault, "block-skipped"
    passed = re.search(r"(\d+) passed", summary)
    assert passed is not None and "skipped" not in summary, output
    if RUNS[name][0] == "test_parity.py":
        assert int(passed.group(1)) == sum(
            not case.large
            for made in load_ops().values()
            for backend in made.backends.values()
            for case in (made.cases() if name == "float32" else made.declared_cases())
            if backend.needs.interpreter is not None
        )
