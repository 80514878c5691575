"""The default on a GPU is what was measured: fake chips and shapes, and the table beside the report that it is of."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gpt_from_scratch.benchmarks.gpu.measured_lines import RESULTS, measured_lines
from gpt_from_scratch.kernels import backends
from gpt_from_scratch.kernels.choices import resolve
from gpt_from_scratch.kernels.launch_config import parse_measured, show_measured
from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm
from gpt_from_scratch.kernels.ops.linear_cross_entropy import linear_cross_entropy
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.kernels.requirements import Needs
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.backends import decide

BF16 = torch.bfloat16


@pytest.fixture(autouse=True)
def _every_backend_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Needs, "why_not", lambda self, device: None)
    for made in load_ops().values():
        monkeypatch.setattr(made, "_missing", {})
    yield


def on(monkeypatch: pytest.MonkeyPatch, chip: str) -> None:
    monkeypatch.setattr(backends, "chip_of", lambda device: chip)


def heads(t: int, d: int, dtype: torch.dtype = BF16, **more: Any) -> dict[str, Any]:
    return dict.fromkeys("qkv", torch.empty(1, 1, t, d, device="meta", dtype=dtype)) | more


def test_ours_is_taken_where_it_was_measured_to_be_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "NVIDIA H200")
    choice = attention.choose("cuda", None, heads(1024, 64))
    assert choice.backend == "triton"
    assert choice.reason == "on H200 in bf16, size 64, length 1024, measured at 0.93 times the time of torch"
    x = torch.empty(32, 1024, 768, device="meta", dtype=BF16)
    assert layer_norm.choose("cuda", None, {"x": x, "weight": x, "bias": None}).backend == "triton"
    loss = {"hidden": x, "weight": x, "targets": x[..., 0]}
    assert linear_cross_entropy.choose("cuda", None, loss).backend == "triton"


@pytest.mark.parametrize(
    ("chip", "arguments", "why"),
    [
        ("NVIDIA H200", heads(1024, 128), "size 128, length 1024, measured at 1.31 times the time of torch"),
        ("NVIDIA H200", heads(8192, 64), "size 64, length 8192, measured at 1.08 times"),
        ("NVIDIA H200", heads(6000, 80), "size 64, length 8192, measured at 1.08 times"),
        ("NVIDIA H200", heads(1024, 64, torch.float16), "never measured on H200 in fp16 at about this shape"),
        ("NVIDIA H200", heads(128, 64), "never measured on H200 in bf16 at about this shape"),
        ("NVIDIA H200", heads(1024, 16), "never measured on H200 in bf16 at about this shape"),
        ("NVIDIA H200", heads(1024, 64, causal=False), "never measured without the causal mask"),
        ("NVIDIA H200", heads(1024, 64, window=5), "never measured with documents or a window"),
        ("NVIDIA GH200 480GB", heads(1024, 64), "never measured on NVIDIA GH200 480GB"),
        ("NVIDIA A100-SXM4-80GB", heads(1024, 64), "never measured on NVIDIA A100"),
    ],
)
def test_torchs_own_is_taken_where_ours_was_slower_or_never_measured(
    chip: str, arguments: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, chip)
    choice = attention.choose("cuda", None, arguments)
    assert choice.backend == "torch"
    assert choice.reason.startswith("preferred on cuda (not triton: ") and why in choice.reason
    assert attention.choose("cuda", None, arguments, deterministic=True).backend == "triton"
    assert attention.choose("cuda", None, arguments | {"softcap": 9.0}).backend == "triton", (
        "torch has no kernel for it"
    )


def test_torchs_flag_asks_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "NVIDIA A100-SXM4-80GB")
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    choice = attention.choose("cuda")
    assert choice.backend == "triton" and "deterministic algorithms are asked for" in choice.reason


def test_a_list_without_shapes_goes_by_the_slowest(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "NVIDIA H200")
    chosen = {choice.op: choice.backend for choice in resolve(None, "cuda")}
    assert chosen == dict.fromkeys(load_ops(), "triton") | dict.fromkeys(
        ("attention", "linear_activation", "rms_norm"), "torch"
    )


def test_the_call_and_the_choice_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `choose` says is what a call takes, whatever the shape."""
    monkeypatch.setattr(attention, "_implementation", lambda name, args, kwargs: (lambda: name, None))
    device = torch.device("cuda")
    for chip in ("NVIDIA H200", "NVIDIA H100 80GB HBM3"):
        on(monkeypatch, chip)
        for arguments in (heads(t, d) for t in (64, 1024, 16384) for d in (16, 64, 128)):
            taken: Any = attention._select(device, None, (), arguments)
            assert taken() == attention.choose(device, None, arguments).backend


def test_a_kernel_of_ours_without_a_rival_runs_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "NVIDIA A100-SXM4-80GB")
    monkeypatch.setattr(layer_norm, "backends", {n: b for n, b in layer_norm.backends.items() if n != "torch"})
    choice = layer_norm.choose("cuda")
    assert (choice.backend, choice.reason) == (
        "triton",
        "nothing else is preferred here; never measured on NVIDIA A100-SXM4-80GB",
    )


def test_a_run_decides_by_its_own_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "NVIDIA H200")
    reasons, before = {}, backends.in_force()
    for deterministic, heads_ in ((None, 12), (None, 6), (True, 6)):
        config = GPTConfig(n_head=heads_)
        device = torch.device("cuda")
        choices = decide(
            None,
            config,
            32,
            device=device,
            dtype=BF16,
            ranks=Ranks(),
            say=print,
            timings=[],
            deterministic=deterministic,
        )
        backends.put_in_force(before)
        reasons[deterministic, heads_] = {choice.op: (choice.backend, choice.reason) for choice in choices}["attention"]
    assert [backend for backend, _ in reasons.values()] == ["triton", "torch", "triton"]
    assert "measured at 0.93" in reasons[None, 12][1] and "measured at 1.31" in reasons[None, 6][1]


def test_the_table_is_the_reports() -> None:
    lines = measured_lines(json.loads(RESULTS.read_text(encoding="utf-8")))
    declared = {name: made.preference.measured for name, made in load_ops().items() if made.preference.measured}
    assert declared == {op: tuple(found) for op, found in lines.items()}
    for found in declared.values():
        assert parse_measured(show_measured(found), "here") == found


def test_a_wrong_line_is_named() -> None:
    with pytest.raises(
        ValueError, match="here, line 2: expected chip dtype size length ratio beside, got 'H200 bf16 64'"
    ):
        parse_measured("chip\nH200 bf16 64", "here")
