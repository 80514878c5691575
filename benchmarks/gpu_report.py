"""Proof and measurement of the kernels on one GPU, within ten minutes:

python -m gpt_from_scratch.benchmarks.gpu_report --out DIR [--minutes 10]

Parity on CUDA, equal bits in 50 runs, the compiled model, kernel times beside what torch and others have, and training
steps of GPT-2 124M by backend and with each Triton op off in turn. Writes DIR/kernels_gpu.json after every section and
DIR/kernels_gpu.md at the end. What did not fit the time is named in both. `--device cpu` runs it on tiny shapes, to test it.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.benchmarks import gpu_steps
from gpt_from_scratch.benchmarks.gpu_markdown import markdown
from gpt_from_scratch.benchmarks.kernel_work import Work, contenders, forward_and_backward, like_outputs, on_gpu, small
from gpt_from_scratch.benchmarks.timing import interleaved
from gpt_from_scratch.kernels.parity import check_parity, evaluate
from gpt_from_scratch.kernels.registry import Case, Op, load_ops
from gpt_from_scratch.support.files import write_text

Section = dict[str, Any] | list[Any]


class Clock:
    """How much of the time is left; sections stop when it is over and say what they left out."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes
        self.left_out: list[str] = []

    def over(self, what: str, reserve: float = 0.0) -> bool:
        """Whether less than `reserve` seconds are left, in which case `what` is noted as left out."""
        if time.monotonic() < self.end - reserve:
            return False
        self.left_out.append(what)
        return True


def environment(device: str) -> dict[str, str]:
    """What the figures depend on."""
    root = Path(__file__).parents[1]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False).stdout
    found = {"device": platform.processor() or platform.machine(), "torch": torch.__version__, "commit": commit.strip()}
    if device == "cuda":
        import triton

        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"]
        try:
            driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
        except FileNotFoundError:
            driver = "nvidia-smi is not there"
        found |= {"device": torch.cuda.get_device_name(), "driver, clock, power": driver, "triton": triton.__version__}
        found["cuda"] = str(torch.version.cuda or torch.version.hip)
    return found


def backend_for(device: str) -> str:
    """The backend under test: ours; on the CPU the library's, so that the report itself can be tested."""
    return "triton" if device == "cuda" else "torch"


def parity(device: str, clock: Clock, tiny: bool) -> Section:
    """Every case in bf16, then the others' main ones: the parity rule of the tests."""
    results: dict[str, Any] = {"passed": 0, "failures": []}
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for made in load_ops().values():
            cases = [case for case in made.cases() if not (tiny and case.large)]
            for case in cases[:: 8 if tiny else 1] if dtype == torch.bfloat16 else cases[:: 8 if tiny else 4]:
                name = f"{made.name} {case.name} {dtype}"
                if clock.over(f"parity: {name} and after", 330):
                    return results
                try:
                    check_parity(made, backend_for(device), case, dtype, device)
                    results["passed"] += 1
                except (AssertionError, RuntimeError) as error:
                    results["failures"].append(f"{name}: {error}")
    return results


def equal_bits(device: str, clock: Clock, tiny: bool) -> Section:
    """Forward and backward of one case an op, again and again: every result must have the same bits."""
    results: dict[str, Any] = {"runs": 3 if tiny else 50, "different": []}
    names = {"attention": "packed-1024", "linear_cross_entropy": "many-rows"}
    for made in load_ops().values():
        wanted = names.get(made.name, "rows-1025")
        case: Case = next(case for case in made.cases() if case.name == wanted)
        inputs = case.make(torch.Generator().manual_seed(0), torch.float32 if device == "cpu" else torch.bfloat16)
        moved = {name: x.to(device) if isinstance(x, torch.Tensor) else x for name, x in inputs.items()}
        first: dict[str, torch.Tensor] = {}
        for run in range(results["runs"]):
            got, _ = evaluate(_bound(made, backend_for(device)), moved, case, None)
            first = first or got
            results["different"] += [
                f"{made.name} {name} in run {run}" for name in got if not got[name].equal(first[name])
            ]
    return results


def _bound(made: Op[Any], backend: str) -> Callable[..., Any]:
    return lambda **arguments: made(**arguments, backend=backend)


def times(device: str, clock: Clock, tiny: bool) -> Section:
    """Seconds of every contender, forward and forward + backward, interleaved; what cannot run says why."""
    rows: list[dict[str, Any]] = []
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    for work in small() if device == "cpu" else on_gpu():
        if clock.over(f"times: {work.op} {work.shape}", 150):
            continue
        usable, inputs = {}, work.inputs(device, dtype)
        for name, function in contenders(work, device, dtype).items():
            if name in ("reference", "compiled") and (device == "cuda" or tiny):
                continue  # eager attention at 16k tokens holds 12 GB of scores; inductor competes as an outside one
            try:
                usable[name] = (function, like_outputs(function, inputs))
                forward_and_backward(function, inputs, usable[name][1])
            except (RuntimeError, ValueError, TypeError) as error:  # a competitor that does not support the shape
                rows.append({"op": work.op, "shape": work.shape, "contender": name, "error": str(error)[:300]})
        rows += measure(work, usable, inputs, device, tiny)
    return rows


def measure(
    work: Work, usable: dict[str, Any], inputs: dict[str, Any], device: str, tiny: bool
) -> Iterator[dict[str, Any]]:
    """One row a contender."""

    def forward(function: Callable[..., Any]) -> None:
        with torch.no_grad():
            function(**inputs)

    rounds, seconds = (5, 5.0) if tiny else (30, 6.0)
    one_way = interleaved({n: lambda f=f: forward(f) for n, (f, _) in usable.items()}, rounds, device, seconds=seconds)
    both = interleaved(
        {n: lambda f=f, up=up: forward_and_backward(f, inputs, up) for n, (f, up) in usable.items()},
        rounds,
        device,
        seconds=seconds,
    )
    for name in usable:
        backward = max(both[name]["median"] - one_way[name]["median"], 1e-9)
        yield {
            "op": work.op,
            "shape": work.shape,
            "contender": name,
            "forward": one_way[name],
            "both": both[name],
            "forward TFLOP/s": work.forward_flops / one_way[name]["median"] / 1e12,
            "backward TFLOP/s": work.backward_flops / backward / 1e12,
            "TB/s": (work.forward_bytes + work.backward_bytes) / both[name]["median"] / 1e12,
            "peak memory, bytes": peak(usable[name], inputs, device),
        }


def peak(contender: tuple[Callable[..., Any], Any], inputs: dict[str, Any], device: str) -> int | None:
    """Bytes allocated at the peak of forward + backward beyond the inputs; None on a CPU."""
    if device != "cuda":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    forward_and_backward(contender[0], inputs, contender[1])
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


SECTIONS: dict[str, Callable[[str, Clock, bool], Section]] = {
    "parity": parity,
    "equal bits": equal_bits,
    "model": gpu_steps.whole_model,
    "times": times,
    "steps": gpu_steps.steps,
}


def main() -> None:
    """Parse the arguments, run the sections and write the report; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m gpt_from_scratch.benchmarks.gpu_report", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for kernels_gpu.json and kernels_gpu.md")
    parser.add_argument("--minutes", type=float, default=10.0, help="stop in time (default: %(default)s)")
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda", help="cpu: tiny shapes, to test the report"
    )
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --device cpu tests the report on tiny shapes")
    arguments.out.mkdir(parents=True, exist_ok=True)
    clock, tiny = Clock(arguments.minutes), arguments.device == "cpu"
    report: dict[str, Any] = {"environment": environment(arguments.device)}
    for name, section in SECTIONS.items():
        started = time.monotonic()
        print(f"{name} ...", flush=True)
        report[name] = section(arguments.device, clock, tiny)
        report.setdefault("seconds", {})[name] = round(time.monotonic() - started, 1)
        report["left out"] = clock.left_out
        write_text(arguments.out / "kernels_gpu.json", json.dumps(report, indent=1) + "\n")
    write_text(arguments.out / "kernels_gpu.md", markdown(report))
    print(markdown(report))
    wrong = [*report["parity"]["failures"], *report["equal bits"]["different"], *report["model"]["failures"]]
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
