"""The parts of gpu_report that need a whole model: that it compiles and accumulates, and its training steps by backend."""

from time import perf_counter
from typing import Any

import torch

from gpt_from_scratch.benchmarks.common.clock import Clock
from gpt_from_scratch.benchmarks.common.timing import summary
from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.kernels.registry import load_backends, load_ops
from gpt_from_scratch.models.gpt import GPT, GPTConfig

TINY = GPTConfig(block_size=32, vocab_size=67, n_layer=1, n_head=2, n_embd=32)
PEAK_FLOPS = 989e12  # dense bf16 of an H100 or H200


def tokens_for(config: GPTConfig, batch: int, device: str) -> torch.Tensor:
    """Random tokens, one more a row than the context."""
    return torch.randint(config.vocab_size, (batch, config.block_size + 1), device=device)


def gradients(
    call: Any, model: GPT, parts: list[torch.Tensor], device: str, dtype: torch.dtype = torch.bfloat16
) -> list[torch.Tensor]:
    """Gradients of the summed losses of `parts`, accumulated."""
    model.zero_grad()
    for tokens in parts:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = call(tokens[:, :-1], tokens[:, 1:], reduction="sum")
        loss.backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def whole_model(device: str, clock: Clock, tiny: bool) -> dict[str, Any]:
    """One graph, the gradients of eager, compiled and in two parts, and torch.library's own checks of our operations.

    In bf16 a gradient's distance from the reference's in fp32 may be three times that of the reference's own in bf16, and two
    of bf16's steps more: kernels keep in bf16 what the reference keeps in fp32.
    """
    failures: list[str] = []
    torch.manual_seed(0)
    config = TINY if tiny else GPTConfig(n_layer=2)
    model = GPT(config).to(device)
    tokens = tokens_for(config, 4, device)
    backend = "triton" if device == "cuda" else "torch"
    with use_backend("reference"):
        exact = gradients(model, model, [tokens], device, torch.float32)
        own = gradients(model, model, [tokens], device)
    load_backends(device)
    compiled = torch.compile(model, fullgraph=True, backend="eager" if tiny else "inductor")
    ways: dict[str, Any] = {
        "eager": lambda: gradients(model, model, [tokens], device),
        "in two parts": lambda: gradients(model, model, list(tokens.split(2)), device),
        "compiled": lambda: gradients(compiled, model, [tokens], device),
    }
    for name, way in ways.items():
        try:
            with use_backend(backend):
                found = way()
        except RuntimeError as error:
            failures.append(f"{name}: {error}")
            continue
        for parameter, *sides in zip(dict(model.named_parameters()), exact, own, found, strict=True):
            allowed, off = (float((side - sides[0]).norm() / sides[0].norm()) for side in sides[1:])
            if not off <= 3 * allowed + 2 * torch.finfo(torch.bfloat16).eps:
                failures.append(
                    f"{name}: gradient of {parameter} is {off:.4f} of its norm off, the reference's {allowed:.4f}"
                )
    if device == "cuda":
        failures += operation_checks(device)
    return {"backend": backend, "failures": failures}


def operation_checks(device: str) -> list[str]:
    """torch.library.opcheck's complaints about our operations: schema, fake shapes and strides, no hidden aliasing."""
    launches = (made.part("launches") for made in load_ops().values())
    return complaints([check for each in launches if each is not None for check in each.operations(device)])


def complaints(checks: list[tuple[Any, tuple[Any, ...]]]) -> list[str]:
    """Failures of opcheck for (operation, arguments)."""
    failures = []
    for operation, arguments in checks:
        result = torch.library.opcheck(
            operation, arguments, test_utils=("test_schema", "test_faketensor"), raise_exception=False
        )
        failures += [f"opcheck {operation}: {name}: {said}" for name, said in result.items() if said != "SUCCESS"]
    return failures


FIRST_COMPILATION = 40.0
"""Seconds that one variant's compilation may take, before one has been seen."""


def variants(device: str) -> dict[str, str]:
    """Name → the choice of backends: the library's, ours, and ours with each op in turn given to the library."""
    theirs, ours = ("torch", "triton") if device == "cuda" else ("reference", "torch")
    used = [made.name for made in load_ops().values() if made.spec.calls(GPTConfig())]
    return {ours: ours, theirs: theirs} | {f"{ours}, {op} by {theirs}": f"{ours},{op}={theirs}" for op in used}


def steps(device: str, clock: Clock, tiny: bool) -> list[dict[str, Any]]:
    """Training steps of every variant in turn, round after round, on one model and optimizer: an A/B within the step.

    Compiled block by block, as the training loop does.
    """
    config, batch = (TINY, 2) if tiny else (GPTConfig(), 32)
    torch.manual_seed(0)
    torch._dynamo.reset()
    model = GPT(config).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device == "cuda")
    tokens = tokens_for(config, batch, device)
    load_backends(device)
    for block in model.h:
        block.compile(fullgraph=True, dynamic=False, backend="eager" if tiny else "inductor")
    usable: dict[str, str] = {}
    peaks: dict[str, int | None] = {}
    failed: list[dict[str, Any]] = []
    longest = FIRST_COMPILATION
    with torch._dynamo.config.patch(recompile_limit=64):
        for name, choice in variants(device).items():
            if clock.over(f"steps: {name}", longest + 15):
                continue
            started, graphs = perf_counter(), torch._dynamo.utils.counters["stats"]["unique_graphs"]
            try:
                with use_backend(choice):
                    for _ in range(3):
                        step(model, optimizer, tokens, device)
                    peaks[name] = peak_of_step(model, optimizer, tokens, device)
            except RuntimeError as error:
                failed.append({"backends": name, "error": str(error)[:1000]})
                continue
            made = torch._dynamo.utils.counters["stats"]["unique_graphs"] > graphs
            changed = choice.rpartition(",")[2].partition("=")[0]
            compiled = changed not in load_ops() or not load_ops()[changed].spec.between_blocks
            if compiled and not made:  # its time would be the other's
                failed.append({"backends": name, "error": "ran a graph that another variant had compiled"})
                continue
            usable[name], longest = choice, perf_counter() - started if not usable else longest
        seconds: dict[str, list[float]] = {name: [] for name in usable}
        for _ in range(5 if tiny else 15):
            for name, choice in usable.items():
                with use_backend(choice):
                    seconds[name].append(step(model, optimizer, tokens, device))
    ours = seconds.get(next(iter(variants(device))))
    return [figures(model, batch, name, seconds[name], ours, peaks[name], device) for name in usable] + failed


def figures(
    model: GPT, batch: int, name: str, seconds: list[float], ours: list[float] | None, peak: int | None, device: str
) -> dict[str, Any]:
    """One row. "beside ours" divides, round by round, by the time of all our kernels in the same round."""
    config, time = model.config, summary(seconds)
    count = batch * config.block_size
    flops = 6 * model.num_parameters() + 12 * config.n_layer * config.n_embd * config.block_size
    return {
        "backends": name,
        "step": time,
        "beside ours": None if ours is None else summary([a / b for a, b in zip(seconds, ours, strict=True)]),
        "tokens/s": count / time["median"],
        "MFU": count * flops / time["median"] / PEAK_FLOPS if device == "cuda" else None,
        "FLOPs a token": flops,
        "peak memory, bytes": peak,
    }


def peak_of_step(model: GPT, optimizer: torch.optim.Optimizer, tokens: torch.Tensor, device: str) -> int | None:
    """Bytes allocated at the peak of one step; None on a CPU."""
    if device != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    step(model, optimizer, tokens, device)
    return torch.cuda.max_memory_allocated()


def step(model: GPT, optimizer: torch.optim.Optimizer, tokens: torch.Tensor, device: str) -> float:
    """Seconds of one step, the device's work included."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = perf_counter()
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = model(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start
