"""Documents, windows, caps and sinks of attention: what they mean, on every backend that runs here."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gpt_from_scratch.kernels.ops.attention import attention, document_ids
from gpt_from_scratch.kernels.ops.attention.masking import document_bounds, visible_keys
from gpt_from_scratch.kernels.proof.parity import compared

BACKENDS = ["reference", *(name for name in compared(attention) if attention.why_not(name, "cpu") is None)]


def tensors(*shape: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).requires_grad_() for _ in range(3)]


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "compiled"])
@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("causal", [True, False])
def test_a_document_is_as_if_alone(backend: str, window: int | None, causal: bool) -> None:
    """Packed or alone: the same output and gradients; a neighbour's gradient is exactly 0."""
    lengths = (20, 1, 43)
    ids = torch.tensor([4, 4, 2]).repeat_interleave(torch.tensor(lengths))[None].clone()
    ids[0, 20] = 7
    leaves = tensors(1, 2, 64, 16)
    packed = attention(*leaves, causal=causal, documents=ids, window=window, backend=backend)
    for first, count in zip((0, 20, 21), lengths, strict=True):
        part = slice(first, first + count)
        alone = [x.detach()[:, :, part].requires_grad_() for x in leaves]
        out = attention(*alone, causal=causal, window=window, backend=backend)
        torch.testing.assert_close(packed[:, :, part], out)
        gradients = torch.autograd.grad(packed[:, :, part].square().sum(), leaves, retain_graph=True)
        for got, expected in zip(gradients, torch.autograd.grad(out.square().sum(), alone), strict=True):
            torch.testing.assert_close(got[:, :, part], expected)
            outside = got.clone()
            outside[:, :, part] = 0
            assert outside.count_nonzero() == 0


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_mask_is_what_the_words_say(data: st.DataObject) -> None:
    tq, tk = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 9))
    length = data.draw(st.integers(0, tk))
    ids = data.draw(st.lists(st.integers(0, 2), min_size=tk, max_size=tk))
    causal, window = data.draw(st.booleans()), data.draw(st.none() | st.integers(1, 10))
    documents = torch.tensor([ids], dtype=torch.int64)
    visible = visible_keys(tq, tk, causal, torch.tensor([length]), documents, window, torch.device("cpu"))
    assert visible is not None
    for i in range(tq):
        p = i + length - tq
        for j in range(tk):
            run = 0 <= p < tk and len(set(ids[min(p, j) : max(p, j) + 1])) == 1
            near = window is None or (abs(p - j) < window)
            assert visible[0, 0, i, j] == (j < length and run and near and (not causal or j <= p))


def test_documents_are_runs() -> None:
    first, end = document_bounds(torch.tensor([[3, 3, 1, 3], [0, 0, 0, 0]]))
    assert first.tolist() == [[0, 0, 2, 3], [0, 0, 0, 0]]
    assert end.tolist() == [[2, 2, 3, 4], [4, 4, 4, 4]]
    assert first.dtype == end.dtype == torch.int32


@pytest.mark.parametrize("offsets", [[0, 2, 5, 6], [2, 5], [0, 2, 5]])
def test_offsets_become_ids(offsets: list[int]) -> None:
    ids = document_ids(torch.tensor(offsets, dtype=torch.int32), 6)
    assert ids.shape == (1, 6)
    assert document_bounds(ids)[0].tolist() == [[0, 0, 2, 2, 2, 5]]


def test_sinks_take_their_part() -> None:
    """A sink of log n beside n equal scores halves the output; one of -inf changes nothing."""
    q, k, v = (torch.zeros(1, 1, 4, 8), torch.zeros(1, 1, 4, 8), torch.ones(1, 1, 4, 8))
    for backend in ("reference", "torch"):
        half = attention(q, k, v, causal=False, sinks=torch.tensor([4.0]).log(), backend=backend)
        torch.testing.assert_close(half, torch.full_like(v, 0.5))
        none = attention(q, k, v, causal=False, sinks=torch.tensor([float("-inf")]), backend=backend)
        torch.testing.assert_close(none, v)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"documents": torch.zeros(1, 3, dtype=torch.int64)}, "documents must be 1 x 4 integers"),
        ({"documents": torch.zeros(5, dtype=torch.int32)}, "document_ids"),
        ({"documents": torch.zeros(1, 4)}, "of torch.float32"),
        ({"window": 0}, "window must be an integer from 1 on"),
        ({"window": True}, "not True"),
        ({"softcap": 0.0}, "softcap must be a positive number"),
        ({"softcap": float("nan")}, "it is nan"),
        ({"sinks": torch.zeros(3)}, "sinks must be 2 numbers"),
    ],
)
def test_what_is_no_such_argument_is_said(options: dict[str, object], message: str) -> None:
    q = torch.zeros(1, 2, 4, 8)
    with pytest.raises(ValueError, match=message):
        attention(q, q, q, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sinks must be"):
        attention(q, q, q, sinks=torch.zeros(2, dtype=torch.float16))
