"""Blocks that attention's kernels visit, and what documents mean to each other; started by test_interpreted.py as well."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from triton.runtime import interpreter

from gpt_from_scratch.kernels.launch_config import Config
from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.ops.attention.masking import visible_keys
from gpt_from_scratch.kernels.triton_tools import configs, launch

DOTS = {"attention_forward": 2, "attention_backward_q": 3, "attention_backward_kv": 4}  # products of a pair of blocks


@pytest.fixture
def trips() -> Iterator[Counter[str]]:
    """How many pairs of blocks each kernel multiplies: its products, counted, over those of a pair."""
    products: Counter[str] = Counter()
    running: list[str] = []
    really_run, really_dot = interpreter.GridExecutor.__call__, interpreter.InterpreterBuilder.create_dot

    def run(self: Any, *arguments: Any, **options: Any) -> Any:
        running[:] = [self.fn.__name__]
        return really_run(self, *arguments, **options)

    def dot(self: Any, *arguments: Any) -> Any:
        products[running[0]] += 1
        return really_dot(self, *arguments)

    with (
        mock.patch.object(interpreter.GridExecutor, "__call__", run),
        mock.patch.object(interpreter.InterpreterBuilder, "create_dot", dot),
    ):
        yield products


def pairs(visible: Tensor, rows: int, columns: int) -> int:
    """Pairs of a block of queries and one of keys in which some query sees some key."""
    tq, tk = visible.shape[-2:]
    padded = torch.nn.functional.pad(visible, (0, -tk % columns, 0, -tq % rows))
    return int(padded.unflatten(-1, (-1, columns)).unflatten(-3, (-1, rows)).any(-1).any(-2).sum())


def config(kernel: str) -> Config:
    return configs.find(torch.empty(1), "attention", kernel, 16, 256)


@pytest.mark.parametrize(
    ("documents", "window", "causal"),
    [
        ((64, 128, 64), None, True),
        ((1,) * 200 + (56,), None, True),
        ((100, 156), None, False),
        (None, 64, True),
        (None, 1, True),
        (None, 40, False),
        ((30, 200, 26), 70, True),
        (None, None, True),
    ],
)
def test_no_block_outside_is_visited(
    documents: tuple[int, ...] | None, window: int | None, causal: bool, trips: Counter[str]
) -> None:
    """In each of the three kernels exactly the pairs of blocks with something to see in them."""
    tokens = 256
    ids = None if documents is None else torch.arange(len(documents)).repeat_interleave(torch.tensor(documents))[None]
    q, k, v = (torch.randn(1, 1, tokens, 16, requires_grad=True) for _ in range(3))
    attention(q, k, v, causal=causal, documents=ids, window=window, backend="triton").sum().backward()
    visible = visible_keys(tokens, tokens, causal, None, ids, window, q.device)
    assert visible is not None
    lines = "backward" if ids is None and window is None else "bounded"
    for kernel, name in zip(DOTS, ("forward", f"{lines}_q", f"{lines}_kv"), strict=True):
        line = config(name)
        assert trips[kernel] == DOTS[kernel] * pairs(visible, line.rows, line.columns), kernel


def test_decoding_visits_the_window_alone(trips: Counter[str]) -> None:
    """The splits share the window's keys, however long the cache is."""
    q = torch.randn(1, 1, 1, 16)
    k = torch.randn(1, 1, 4096, 16)
    lengths = torch.tensor([4000])
    with torch.no_grad():
        out = attention(q, k, k, kv_lengths=lengths, window=256, backend="triton")
    assert 0 < trips["attention_decode"] <= 2 * (256 // config("decode").columns + 1)
    torch.testing.assert_close(out, attention(q, k, k, kv_lengths=lengths, window=256, backend="reference"))


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_documents_and_windows(data: st.DataObject) -> None:
    """Documents of any lengths, ids in any order, any window: equal to the reference, and gradients too."""
    tk = data.draw(st.integers(1, 150))
    tq = data.draw(st.integers(1, tk))
    causal = data.draw(st.booleans())
    ids = torch.tensor([data.draw(st.lists(st.integers(0, 2), min_size=tk, max_size=tk))])
    ids = ids if data.draw(st.booleans()) else ids.sort().values
    window = data.draw(st.none() | st.integers(1, 160))
    lengths = torch.tensor([data.draw(st.integers(0, tk))])
    generator = torch.Generator().manual_seed(0)
    leaves = [torch.randn(1, 1, t, 16, generator=generator).requires_grad_() for t in (tq, tk, tk)]
    found = []
    for backend in ("triton", "reference"):
        out = attention(
            *leaves, causal=causal, documents=ids, window=window, kv_lengths=lengths, softcap=3.0, backend=backend
        )
        found.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    for got, exact in zip(*found, strict=True):
        torch.testing.assert_close(got, exact, atol=1e-5, rtol=1e-4)


def test_a_launch_without_the_new_arguments_is_told_of_none() -> None:
    """The plain path compiles what it compiled before: its switches are constants."""
    q = torch.randn(1, 1, 32, 16, requires_grad=True)
    with launch.recording() as launches:
        attention(q, q, q, backend="triton").sum().backward()
    assert len(launches) == 3
    for made in launches:
        assert not any(made.constants.get(name) for name in ("DOCUMENTS", "WINDOW", "CAP", "SINKS"))
