"""The choice of backends for a run: measured, shown, and the same on every rank."""

import io
import re
from typing import Any

import pytest
import torch
from rich.console import Console

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.kernels.fastest import Timing, time_backends, winners
from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.kernels.spec import Draw
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.run.backends import quicker, timing_table, without_compiled

CPU = torch.device("cpu")
CONFIG = GPTConfig(block_size=16, vocab_size=40, n_layer=2, n_head=4, n_embd=32, n_kv_head=2)


def arguments_of(name: str, rows: int) -> dict[str, Any]:
    example = load_ops()[name].spec.example
    assert example is not None
    return example(CONFIG, rows, 16, Draw(CPU, torch.float32))


def test_the_timed_arguments_are_those_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes, dtypes and strides: a kernel that is quick on contiguous heads may be slow on the packed projection's."""
    seen: dict[str, list[dict[str, object]]] = {name: [] for name in load_ops()}

    def looks(value: object) -> object:
        return (tuple(value.shape), value.dtype, value.stride()) if isinstance(value, torch.Tensor) else value

    for name, made in load_ops().items():
        names = [parameter[0] for parameter in made.parameters]

        def check(*args: object, _name: str = name, _names: list[str] = names, **kwargs: object) -> None:
            given = {**dict(zip(_names, args, strict=False)), **kwargs}
            seen[_name].append({key: looks(value) for key, value in given.items()})

        monkeypatch.setattr(made, "check", check)
    tokens = torch.zeros(3, 16, dtype=torch.int64)
    GPT(CONFIG)(tokens, tokens)
    for name, calls in seen.items():
        made_up = arguments_of(name, 3)
        assert len(calls) == load_ops()[name].spec.calls(CONFIG)
        for call in calls:
            assert {key: call[key] for key in made_up} == {key: looks(value) for key, value in made_up.items()}


def test_every_backend_is_timed_or_says_why_not() -> None:
    arguments = arguments_of("attention", 1)
    timings = {t.backend: t for t in time_backends(attention, arguments, CPU, skip={"compiled": "not in this test"})}
    assert timings.keys() == attention.backends.keys()
    assert timings["compiled"].why_not == "not in this test"
    assert timings["triton"].why_not is not None and "cuda" in timings["triton"].why_not
    for name in ("reference", "torch"):
        seconds = timings[name].seconds
        assert seconds is not None and seconds > 0


TIMINGS = [
    Timing("attention", "reference", 4.0),
    Timing("attention", "torch", 1.0),
    Timing("attention", "triton", why_not="runs on cuda, not cpu"),
    Timing("layer_norm", "reference", 1.0),
    Timing("layer_norm", "torch", 2.0),
]


def test_a_backend_that_fails_is_passed_over_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that cannot work here, or a user's own kernel, ends no run: the others are timed."""
    made = load_ops()["attention"]
    made.load("cpu")

    def fails(*args: object, **kwargs: object) -> None:
        raise TypeError("a kernel of somebody's\nand a long trace")

    monkeypatch.setattr(made.backends["torch"], "function", fails)
    timings = time_backends(made, arguments_of("attention", 2), CPU)
    failed = next(timing for timing in timings if timing.backend == "torch")
    assert failed.seconds is None and failed.why_not == "failed at its first call: TypeError: a kernel of somebody's"
    assert winners(timings)[0].backend != "torch"
    monkeypatch.setattr(made.backends["reference"], "function", fails)
    with pytest.raises(TypeError, match="somebody's"):
        time_backends(made, arguments_of("attention", 2), CPU)


def test_the_quickest_wins_each_op_and_says_by_how_much() -> None:
    chosen = {choice.op: choice for choice in winners(TIMINGS)}
    assert (chosen["attention"].backend, chosen["layer_norm"].backend) == ("torch", "reference")
    assert "4.0 times the reference's speed" in chosen["attention"].reason


def test_the_table_marks_winners_and_says_what_was_not_timed() -> None:
    console = Console(file=io.StringIO(), width=100)
    chosen = [*winners(TIMINGS), Choice("rms_norm", "torch", "preferred on cpu")]
    console.print(timing_table(TIMINGS, chosen, 2, 8, "device cpu"))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"attention +│ +4000.00 +│ 1000.00 +│ torch ", printed), printed
    assert re.search(r"layer_norm +│ +1000.00 +│ 2000.00 +│ reference ", printed)
    assert re.search(r"rms_norm +│ +│ +│ torch ", printed), "what was not timed is in the same table"
    assert "triton: runs on cuda, not cpu" in printed


def test_evaluation_never_compiles_for_each_of_its_shapes() -> None:
    choices = [Choice("attention", "compiled", ""), Choice("layer_norm", "reference", "")]
    assert without_compiled(choices, CPU) == {"attention": "torch", "layer_norm": "reference"}


def test_quicker_backends_are_named_where_the_reference_is_used() -> None:
    assert "torch" in quicker([Choice("attention", "reference", "")], CPU)
    assert quicker([Choice("attention", "torch", "")], CPU) == []
