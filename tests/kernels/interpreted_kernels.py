"""Checks that run under Triton's interpreter: test_interpreted.py starts this file with TRITON_INTERPRET=1."""

import dataclasses
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import triton
from triton.runtime import interpreter

from gpt_from_scratch.benchmarks.gpu.steps import complaints, operation_checks
from gpt_from_scratch.kernels.cases import Case
from gpt_from_scratch.kernels.choices import set_backend, use_backend
from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.ops.attention.triton_parts import forward as triton_forward
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm, triton_norm
from gpt_from_scratch.kernels.ops.layer_norm import triton_kernel as layer_norm_kernel
from gpt_from_scratch.kernels.ops.linear_cross_entropy import linear_cross_entropy, triton_loss
from gpt_from_scratch.kernels.proof.nan_guards import GuardedAllocations, inside_buffer, surrounded
from gpt_from_scratch.kernels.proof.parity import check_parity, compared
from gpt_from_scratch.kernels.registry import Op, load_backends, load_ops
from gpt_from_scratch.kernels.spec import Fault
from gpt_from_scratch.models.gpt import GPT, GPTConfig


def case_of(made: Op[Any], name: str) -> Case:
    return next(case for case in made.cases() if case.name == name)


def seed(module: Any, old: str, new: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace `old` in a module's source, and its kernels and functions by those of the changed copy."""
    source = inspect.getsource(module)
    assert old in source, f"{module.__name__} has no {old!r}: the fault must be seeded elsewhere"
    file = folder / f"mutant_{module.__name__.rpartition('.')[2]}.py"
    file.write_text(source.replace(old, new).replace("@opaque(", "@(lambda *_: lambda function: function)("))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    mutant = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mutant)
    for name, kernel in vars(mutant).items():
        own = inspect.isfunction(kernel) and kernel.__module__ == mutant.__name__
        if own or isinstance(kernel, interpreter.InterpretedFunction):
            replaced = getattr(module, name)
            for place, owner in list(sys.modules.items()):
                if place.startswith(f"{OPS}.") and getattr(owner, name, None) is replaced:
                    monkeypatch.setattr(owner, name, kernel)


OPS = "gpt_from_scratch.kernels.ops"
FAULTS = [(made, fault) for made in load_ops().values() for fault in made.spec.faults]


@pytest.mark.parametrize(("made", "fault"), FAULTS, ids=[f"{made.name}-{fault.name}" for made, fault in FAULTS])
def test_a_seeded_fault_is_caught(made: Op[Any], fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = fault.module if "." in fault.module else f"{made.name}.{fault.module}"
    made.load("cpu")
    seed(importlib.import_module(f"{OPS}.{place}"), fault.old, fault.new, tmp_path, monkeypatch)
    with pytest.raises(AssertionError, match="error|outside"):
        for backend in compared(made):
            with GuardedAllocations() as guards:
                check_parity(made, backend, surrounded(case_of(made, fault.case)), torch.float32, "cpu")
            guards.check()


@pytest.fixture
def overflow_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """32-bit arithmetic that overflows raises, and the interpreter leaves untouched memory untouched."""
    builder = interpreter.interpreter_builder
    monkeypatch.setattr(builder, "options", dataclasses.replace(builder.options, debug=True))
    monkeypatch.setattr(interpreter.GridExecutor, "_restore_args_dev", lambda *_: None)  # copies whole storages


def far_apart(*shape: int) -> torch.Tensor:
    """The third of the first dimension begins beyond 2³¹ elements; of the 4 GiB only the pages in use come to be."""
    step = 2**30 + 64  # the step itself still is a 32-bit number
    x = torch.empty((shape[0] - 1) * step + torch.Size(shape[1:]).numel(), dtype=torch.float16)
    view = x.as_strided(shape, (step, *torch.empty(shape[1:]).stride()))
    return view.copy_(torch.randn(shape))


def test_offsets_beyond_32_bits(overflow_stops: None) -> None:
    with torch.no_grad():
        q = far_apart(3, 1, 17, 16)
        small = q.clone(memory_format=torch.contiguous_format)
        assert attention(q, q, q, backend="triton").equal(attention(small, small, small, backend="triton"))
        x = far_apart(3, 32)
        same = x.clone(memory_format=torch.contiguous_format)
        weight = torch.ones(32)
        assert layer_norm(x, weight, None, backend="triton").equal(layer_norm(same, weight, None, backend="triton"))


def test_gradients_beyond_32_bits(overflow_stops: None) -> None:
    q = far_apart(3, 1, 17, 16).requires_grad_()
    small = q.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    for x in (q, small):
        attention(x, x, x, backend="triton").sum().backward()
    assert q.grad is not None and small.grad is not None
    assert q.grad.equal(small.grad)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (triton_forward, "batch.to(tl.int64) * q_batch", "batch * q_batch"),
        (triton_forward, "batch.to(tl.int64) * k_batch", "batch * k_batch"),
        (triton_norm, "row = tl.program_id(0).to(tl.int64) * ROWS", "row = tl.program_id(0) * ROWS"),
    ],
    ids=["query", "key", "row"],
)
def test_a_32_bit_offset_is_caught(
    module: Any, old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overflow_stops: None
) -> None:
    seed(module, old, new, tmp_path, monkeypatch)
    with pytest.raises(interpreter.InterpreterError, match="int32 overflow"):
        test_offsets_beyond_32_bits(overflow_stops)


def test_chunks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one chunk, the last one shorter."""
    monkeypatch.setattr(triton_loss, "CHUNK_LOGITS", 200 * 33)
    assert triton_loss.chunk_rows(300, 33) == 256
    for reduction in ("mean", "none"):

        def make(generator: torch.Generator, dtype: torch.dtype, reduction: str = reduction) -> dict[str, Any]:
            return {
                "hidden": torch.randn(300, 16, generator=generator).to(dtype),
                "weight": torch.randn(33, 16, generator=generator).to(dtype),
                "targets": torch.randint(33, (300,), generator=generator),
                "ignore_index": -100,
                "reduction": reduction,
            }

        check_parity(linear_cross_entropy, "triton", Case("chunks", make), torch.float32, "cpu")


def test_a_negative_scale_and_a_zero_one() -> None:
    q, k, v = (torch.randn(1, 2, 40, 16) for _ in range(3))
    for scale in (-0.3, 0.0):
        torch.testing.assert_close(
            attention(q, k, v, scale=scale, backend="triton"), attention(q, k, v, scale=scale, backend="reference")
        )


def test_forward_and_backward_are_the_same_from_run_to_run() -> None:
    q, k, v = (torch.randn(2, 2, 40, 16, requires_grad=True) for _ in range(3))

    def once() -> list[torch.Tensor]:
        out = attention(q, k, v, backend="triton")
        return [out.detach(), *torch.autograd.grad(out.square().sum(), (q, k, v))]

    assert all(a.equal(b) for a, b in zip(once(), once(), strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attention(*(torch.randn(1, 1, 4, 129),) * 3, backend="triton"), "head size 129.*1 to 128"),
        (lambda: attention(*(torch.randn(1, 1, 4, 8).double(),) * 3, backend="triton"), "float64"),
        (lambda: attention(*(torch.randn(1, 1, 4, 8).bfloat16(),) * 3, backend="triton"), "bfloat16.*take float16"),
        (lambda: layer_norm(torch.ones(2, 8).bfloat16(), torch.ones(8), None, backend="triton"), "bfloat16"),
        (
            lambda: linear_cross_entropy(
                torch.ones(2, 8).bfloat16(), torch.ones(5, 8), torch.zeros(2, dtype=torch.int64), backend="triton"
            ),
            "bfloat16",
        ),
        (lambda: layer_norm(torch.randn(2, 8193), torch.ones(8193), None, backend="triton"), "width 8193"),
    ],
)
def test_what_the_kernels_cannot_take_is_said(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=f"backend 'triton' cannot take these arguments: .*{message}"):
        call()


@pytest.fixture
def small_model() -> Iterator[GPT]:
    torch.manual_seed(0)
    yield GPT(GPTConfig(block_size=24, vocab_size=67, n_layer=2, n_head=2, n_embd=32))
    set_backend({})


def losses(model: GPT, backend: str, steps: int = 3) -> list[float]:
    """Training losses on one batch, from the model's state now, which is restored."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    tokens = torch.randint(67, (2, 25), generator=torch.Generator().manual_seed(1))
    found = []
    with use_backend(backend):
        for _ in range(steps):
            loss = model(tokens[:, :-1], tokens[:, 1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    model.load_state_dict(state)
    return found


def test_training_gives_the_reference_losses(small_model: GPT) -> None:
    expected, got = losses(small_model, "reference"), losses(small_model, "triton")
    assert expected[0] - expected[-1] > 0.1  # it learns
    assert got == pytest.approx(expected, abs=1e-4)


@pytest.mark.compile
def test_the_whole_model_is_one_graph(small_model: GPT) -> None:
    """fullgraph=True, forward and backward, without a GPU: the kernels run interpreted inside their registered operations."""
    tokens = torch.randint(67, (2, 25), generator=torch.Generator().manual_seed(1))
    gradients = []
    load_backends("cpu")
    with use_backend("triton"):
        compiled = torch.compile(small_model, fullgraph=True, backend="aot_eager")
        for model in (small_model, compiled):
            small_model.zero_grad()
            model(tokens[:, :-1], tokens[:, 1:]).backward()
            gradients.append([parameter.grad.clone() for parameter in small_model.parameters()])
    for eager, traced in zip(*gradients, strict=True):
        torch.testing.assert_close(eager, traced)


@pytest.mark.compile
def test_the_registered_operations_keep_their_promises() -> None:
    """What gpu_report asks on a GPU."""
    assert operation_checks("cpu") == []


@pytest.mark.compile
def test_an_operation_that_breaks_its_promise_is_named() -> None:
    broken = torch.library.custom_op(
        "gpt_from_scratch::broken_norm", lambda x: x + 1, mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    broken.register_fake(lambda x: x.new_empty(3))
    assert "broken_norm" in str(complaints([(torch.ops.gpt_from_scratch.broken_norm, (torch.ones(2),))]))


def test_the_guards_see_a_stray_store() -> None:
    with GuardedAllocations() as guards:
        out = torch.empty(8)
        out.as_strided((9,), (1,), out.storage_offset()).zero_()
    with pytest.raises(AssertionError, match="stored outside its output of 8"):
        guards.check()
    x = inside_buffer(torch.randn(4, 6)[:, ::2])
    assert x.stride() == (6, 2) and x.as_strided((2,), (1,), x.storage_offset())[1].isnan()


def test_this_process_interprets() -> None:
    assert triton.knobs.runtime.interpret
    assert layer_norm_kernel.layer_norm.why_not("triton", "cpu") is None
