"""A new op is one new folder: parity, the timing before a run, listing and benchmarks take it up without another edit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "__init__.py": '''
"""The op `scaled_norm`."""

from gpt_from_scratch.kernels.ops.scaled_norm.reference import scaled_norm

__all__ = ["scaled_norm"]
''',
    "reference.py": '''
"""RMSNorm with a weight, written out."""

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.ops.scaled_norm.cases import scaled_norm_cases, scaled_norm_scale
from gpt_from_scratch.kernels.registry import op


@op(cases=scaled_norm_cases, scale=scaled_norm_scale)
def scaled_norm(x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"], eps: float = 1e-6) -> Float[Tensor, "*b d"]:
    """x / sqrt(mean(x²) + eps) · weight (Zhang and Sennrich 2019)."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps) * weight).to(x.dtype)
''',
    "cases.py": '''
"""Parity cases of scaled_norm."""

from collections.abc import Iterator
from functools import partial

import torch

from gpt_from_scratch.kernels.cases import Case, Scale, sum_scale


def scaled_norm_cases() -> Iterator[Case]:
    for shape in ((1, 1), (5, 97), (33, 64), (1025, 16), (3, 7, 96), (0, 8)):
        yield Case("x".join(map(str, shape)), partial(make, shape))


def make(shape, generator, dtype):
    x, weight = torch.randn(shape, generator=generator), torch.randn(shape[-1], generator=generator)
    return {"x": x.to(dtype), "weight": weight.to(dtype)}


def scaled_norm_scale(grads, x, weight, eps=1e-6) -> Scale:
    if x.numel() == 0:
        return dict.fromkeys(("output", "grad x", "grad weight"), 0.0)
    r = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    upstream = (grads[0] * weight).abs().amax(-1, keepdim=True)
    return {
        "output": float((x * r * weight).abs().max()),
        "grad x": float((r * upstream * (1 + (x * r).square().amax(-1, keepdim=True))).max()),
        "grad weight": sum_scale((grads[0] * x * r).reshape(-1, x.shape[-1])),
    }
''',
    "torch_backend.py": '''
"""RMSNorm by torch's own function."""

import torch.nn.functional as F

from gpt_from_scratch.kernels.ops.scaled_norm.reference import scaled_norm


@scaled_norm.backend("torch")
def scaled_norm_torch(x, weight, eps=1e-6):
    return F.rms_norm(x, weight.shape, weight.to(x.dtype), eps)
''',
    "triton_like.py": '''
"""What the interpreter runs."""

from gpt_from_scratch.kernels.ops.scaled_norm.reference import scaled_norm


@scaled_norm.backend("fused", toolchain="triton")
def scaled_norm_fused(x, weight, eps=1e-6):
    return {factor} * scaled_norm.reference(x, weight, eps)
''',
    "spec.py": '''
"""All about scaled_norm but its definition, cases and backends."""

from functools import partial

import torch

from gpt_from_scratch.kernels.benchmarking import Work
from gpt_from_scratch.kernels.spec import Spec


def example(shape, batch, length, draw):
    return {"x": draw.activations(batch, length, shape.n_embd), "weight": draw.parameter(shape.n_embd)}


def inputs(rows, width, device, dtype):
    return {name: torch.randn(s, device=device, dtype=dtype) for name, s in (("x", (rows, width)), ("weight", width))}


def work(rows, width, element):
    tensor = float(rows * width * element)
    return Work("scaled_norm", f"{rows}×{width}", 0, 0, 2 * tensor, 3 * tensor, partial(inputs, rows, width))


def outside(work, device, dtype):
    yield "eager", lambda x, weight: torch.nn.functional.rms_norm(x, weight.shape, weight)


SPEC = Spec(
    example=example,
    calls=lambda shape: 2 * shape.n_layer + 1,
    work=lambda shape, batch, tokens, element: work(batch * tokens, shape.n_embd, element),
    small=(work(64, 32, 4),),
    outside=outside,
)
''',
}
TIMED = """
import io, torch
from gpt_from_scratch.benchmarks.gpu import kernel_work
from gpt_from_scratch.benchmarks.gpu import roofline
from gpt_from_scratch.kernels import scaled_norm
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.training.run import backends
from gpt_from_scratch.training.ranks.process_group import Ranks

small = GPTConfig(block_size=16, vocab_size=40, n_layer=1, n_head=2, n_embd=32)
chosen = backends.decide(
    "fastest", small, 2, device=torch.device("cpu"), dtype=torch.float32, ranks=Ranks(), say=print, timings=[]
)
print([choice.op for choice in chosen])
work = next(work for work in kernel_work.small() if work.op == "scaled_norm")
print(sorted(kernel_work.contenders(work, "cpu", torch.float32)))
print(roofline.page(None))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The package with one folder more; the function runs python beside it."""
    root = tmp_path_factory.mktemp("new_op")
    ignore = shutil.ignore_patterns("__pycache__", "results")
    for folder in ("benchmarks", "evals", "kernels", "models", "support", "tokenizer", "training"):
        shutil.copytree(ROOT / folder, root / "gpt_from_scratch" / folder, ignore=ignore)
    shutil.copytree(ROOT / "tests" / "kernels", root / "tests", ignore=ignore)
    shutil.copytree(ROOT / "tests" / "pages", root / "tests" / "pages", ignore=ignore)  # which conftest.py imports
    shutil.copy(ROOT / "tests" / "conftest.py", root / "tests")
    shutil.copy(ROOT / "pyproject.toml", root)
    folder = root / "gpt_from_scratch" / "kernels" / "ops" / "scaled_norm"
    folder.mkdir()

    def run(*command: str, factor: int = 1, **variables: str) -> "subprocess.CompletedProcess[str]":
        for name, text in FILES.items():
            (folder / name).write_text(text.replace("{factor}", str(factor)), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(root), "CXX": "no compiler", **variables}
        return subprocess.run(
            [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, check=False
        )

    return run


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_is_listed_timed_and_benchmarked(tree: Run) -> None:
    listed = tree("-m", "gpt_from_scratch.kernels")
    assert listed.returncode == 0 and "scaled_norm" in listed.stdout, listed.stderr
    timed = tree("-c", TIMED)
    assert timed.returncode == 0, timed.stderr
    assert "'rms_norm', 'scaled_norm']" in timed.stdout
    assert "['outside eager', 'reference', 'torch']" in timed.stdout
    assert "| scaled_norm | 32768×768 | forward | 25 |" in timed.stdout


@pytest.mark.parametrize("factor", [1, 2])
def test_parity_compares_it_also_under_the_interpreter(tree: Run, factor: int) -> None:
    """Twice the right result fails."""
    options = (
        "-m",
        "pytest",
        "tests/test_parity.py",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "scaled_norm and not compiled",
    )
    if factor == 1:
        plain = tree(*options)
        assert plain.returncode == 0 and " passed" in plain.stdout, plain.stdout + plain.stderr
    interpreted = tree(*options, factor=factor, TRITON_INTERPRET="1")
    assert interpreted.returncode == (0 if factor == 1 else 1), interpreted.stdout + interpreted.stderr
    assert "skipped" not in interpreted.stdout
