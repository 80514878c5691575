"""The parts of gpu_report that need a whole model: that it compiles and accumulates, and its training steps by backend."""

from typing import TYPE_CHECKING, Any

import torch

from gpt_from_scratch.benchmarks.timing import summary
from gpt_from_scratch.kernels.registry import load_ops, use_backend
from gpt_from_scratch.models.gpt import GPT, GPTConfig

if TYPE_CHECKING:
    from gpt_from_scratch.benchmarks.gpu_report import Clock

TINY = GPTConfig(block_size=32, vocab_size=67, n_layer=1, n_head=2, n_embd=32)
PEAK_FLOPS = 989e12  # dense bf16 of an H100 or H200


def tokens_for(config: GPTConfig, batch: int, device: str) -> torch.Tensor:
    """Random tokens, one more a row than the context."""
    return torch.randint(config.vocab_size, (batch, config.block_size + 1), device=device)


def gradients(call: Any, model: GPT, parts: list[torch.Tensor], device: str) -> list[torch.Tensor]:
    """Gradients of the summed losses of `parts`, accumulated."""
    model.zero_grad()
    for tokens in parts:
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = call(tokens[:, :-1], tokens[:, 1:], reduction="sum")
        loss.backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def whole_model(device: str, clock: "Clock", tiny: bool) -> dict[str, Any]:
    """One graph, the same gradients compiled and in two parts, and torch.library's own checks of our operations."""
    failures: list[str] = []
    torch.manual_seed(0)
    config = TINY if tiny else GPTConfig(n_layer=2)
    model = GPT(config).to(device)
    tokens = tokens_for(config, 4, device)
    backend = "triton" if device == "cuda" else "torch"
    with use_backend("reference"):
        expected = gradients(model, model, [tokens], device)
    with use_backend(backend):
        whole = gradients(model, model, [tokens], device)
        halves = gradients(model, model, list(tokens.split(2)), device)
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager" if tiny else "inductor")
        traced = gradients(compiled, model, [tokens], device)
    for name, got in (("eager", whole), ("in two parts", halves), ("compiled", traced)):
        for parameter, a, b in zip(dict(model.named_parameters()), expected, got, strict=True):
            off = float((a - b).norm() / a.norm().clamp(min=1e-12))
            if not off < 0.03:  # bf16 activations: a few of its 0.4 % steps
                failures.append(f"{name}: gradient of {parameter} is {off:.3f} of its norm away from the reference's")
    if device == "cuda":
        failures += operation_checks(device)
    return {"backend": backend, "failures": failures}


def operation_checks(device: str) -> list[str]:
    """opcheck's complaints: schema, fake tensors, and what AOTAutograd makes of them."""
    operations = torch.ops.gpt_from_scratch
    x, weight = torch.randn(5, 24, device=device), torch.ones(24, device=device)
    q = tuple(torch.randn(1, 9, 3, 2, 16, device=device).transpose(1, 3).unbind(2))
    labels = torch.randint(11, (5,), device=device)
    checks = [
        (operations.norm_forward, (x, x, weight, weight, 1e-5)),
        (operations.attention_forward, (*q, None, True, 0.25)),
        (operations.losses_and_gradients, (x, torch.randn(11, 24, device=device), labels, None, -100, True)),
    ]
    failures = []
    for operation, arguments in checks:
        result = torch.library.opcheck(
            operation, arguments, test_utils=("test_schema", "test_faketensor"), raise_exception=False
        )
        failures += [f"opcheck {operation}: {name}: {said}" for name, said in result.items() if said != "SUCCESS"]
    return failures


def steps(device: str, clock: "Clock", tiny: bool) -> list[dict[str, Any]]:
    """Training steps: each backend, and Triton with each op in turn given to the library (an A/B in the step)."""
    config, batch = (TINY, 2) if tiny else (GPTConfig(), 32)
    kinds = ("reference", "torch") if device == "cpu" else ("torch", "triton")
    choices = {name: name for name in kinds}
    if device == "cuda":
        choices |= {f"triton, {op} by torch": f"triton,{op}=torch" for op in load_ops()}
    rows = []
    for name, choice in choices.items():
        if not clock.over(f"steps: {name}", 20):
            rows.append({"backends": name, **train(config, batch, choice, device, rounds=3 if tiny else 12)})
    return rows


def train(config: GPTConfig, batch: int, choice: str, device: str, rounds: int) -> dict[str, Any]:
    """Tokens a second, MFU and peak memory of AdamW steps in bf16, the model compiled on a GPU."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    model = GPT(config).to(device)
    with use_backend(choice):
        call = torch.compile(model) if device == "cuda" else model
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device == "cuda")
        tokens = tokens_for(config, batch, device)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = [step(call, optimizer, tokens, device) for _ in range(rounds + 3)][3:]
    count = batch * config.block_size
    flops = 6 * model.num_parameters() + 12 * config.n_layer * config.n_embd * config.block_size
    time = summary(seconds)
    return {
        "step": time,
        "tokens/s": count / time["median"],
        "MFU": count * flops / time["median"] / PEAK_FLOPS if device == "cuda" else None,
        "FLOPs a token": flops,
        "peak memory, bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None,
    }


def step(call: Any, optimizer: torch.optim.Optimizer, tokens: torch.Tensor, device: str) -> float:
    """Seconds of one step, the device's work included."""
    from time import perf_counter

    if device == "cuda":
        torch.cuda.synchronize()
    start = perf_counter()
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = call(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start
