"""GPU report: parity and speed of the kernels on one GPU, within ten minutes:

python -m gpt_from_scratch.benchmarks.gpu.report --out DIR [--minutes 10]

Parity on CUDA, equal bits in 50 runs, the compiled model, kernel times beside what torch and others have (Liger too, where it
is installed), and training steps of GPT-2 124M by backend and with each Triton op off in turn. Writes DIR/kernels_gpu.json
after every section and DIR/kernels_gpu.md at the end. What did not fit the time is named in both. With DIR benchmarks/results,
`python -m gpt_from_scratch.benchmarks.tables` then brings the READMEs up to date. `--device cpu` runs it on tiny shapes.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.benchmarks.common.clock import Clock
from gpt_from_scratch.benchmarks.gpu import steps as gpu_steps
from gpt_from_scratch.benchmarks.gpu import times as gpu_times
from gpt_from_scratch.benchmarks.gpu.markdown import failures, markdown
from gpt_from_scratch.kernels.cases import Case
from gpt_from_scratch.kernels.proof.parity import check_parity, evaluate
from gpt_from_scratch.kernels.proof.sources import source_hash
from gpt_from_scratch.kernels.registry import Op, load_ops
from gpt_from_scratch.support.storage.files import write_text

Section = dict[str, Any] | list[Any]


def git(*arguments: str) -> str:
    """git's description of this code; empty without a repository."""
    root = Path(__file__).parents[2]
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False).stdout.strip()


def environment(device: str) -> dict[str, str]:
    """Environment of the measurements."""
    commit = git("rev-parse", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    found = {"device": platform.processor() or platform.machine(), "torch": torch.__version__, "commit": commit}
    found["kernel sources"] = source_hash()
    if own := os.environ.get("GPT_KERNEL_CONFIGS"):
        found["kernel configurations"] = f"{own}, then kernels/triton_tools/configs.py"
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
    """The parity rule of the tests: every odd layout in every dtype, every case in bf16, a part of them in the others.

    It may take half of the time. After an illegal access nothing runs on the device: its case is then "lost the device".
    """
    results: dict[str, Any] = {"passed": 0, "layouts": {}, "failures": []}
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for made in load_ops().values():
            cases = [case for case in made.cases() if not (tiny and case.large)]
            odd = [case for case in cases if layout(case) is not None]
            plain = [case for case in cases if layout(case) is None]
            for case in odd + plain[:: 8 if tiny else 1 if dtype == torch.bfloat16 else 4]:
                name = f"{made.name} {case.name} {dtype}"
                if clock.over(f"parity: {name} and after", clock.seconds / 2):
                    return results
                try:
                    check_parity(made, backend_for(device), case, dtype, device)
                except (AssertionError, RuntimeError) as error:
                    results["failures"].append(f"{name}: {error}")
                    if device_is_lost(device):
                        return results | {"lost the device": name}
                    continue
                results["passed"] += 1
                if (kind := layout(case)) is not None:
                    results["layouts"][kind] = results["layouts"].get(kind, 0) + 1
    return results


def device_is_lost(device: str) -> bool:
    """Whether an error like an illegal access has ended this process's use of the GPU: every later call fails with it."""
    try:
        torch.zeros(1, device=device).cpu()
    except RuntimeError:
        return True
    return False


def layout(case: Case) -> str | None:
    """What is not contiguous in a case: the gradient of its output (stride 0 if "expanded"), or an argument."""
    return case.layout if case.grad == "dense" else f"{case.grad} grad_output"


def elements(case: Case) -> int:
    """Elements of all of a case's tensors."""
    made = case.make(torch.Generator().manual_seed(0), torch.float32)
    return sum(x.numel() for x in made.values() if isinstance(x, torch.Tensor))


def equal_bits(device: str, clock: Clock, tiny: bool) -> Section:
    """Forward and backward of one case an op, again and again: every result must have the same bits."""
    results: dict[str, Any] = {"runs": 3 if tiny else 50, "different": []}
    for made in load_ops().values():
        case: Case = max(made.declared_cases(), key=elements)
        inputs = case.make(torch.Generator().manual_seed(0), torch.float32 if device == "cpu" else torch.bfloat16)
        moved = {name: x.to(device) if isinstance(x, torch.Tensor) else x for name, x in inputs.items()}
        first: dict[str, torch.Tensor] = {}
        for run in range(results["runs"]):
            try:
                got, _ = evaluate(_bound(made, backend_for(device)), moved, case, None)
            except RuntimeError as error:
                results["different"].append(f"{made.name}: {error}")
                break
            first = first or got
            results["different"] += [
                f"{made.name} {name} in run {run}" for name in got if not got[name].equal(first[name])
            ]
    return results


def _bound(made: Op[Any], backend: str) -> Callable[..., Any]:
    return lambda **arguments: made(**arguments, backend=backend)


SECTIONS: dict[str, Callable[[str, Clock, bool], Section]] = {
    "parity": parity,
    "equal bits": equal_bits,
    "model": gpu_steps.whole_model,
    "ceilings": gpu_times.ceilings,
    "steps": gpu_steps.steps,
    "times": gpu_times.times,
}


def main() -> None:
    """Parse the arguments, run the sections and write the report; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m gpt_from_scratch.benchmarks.gpu.report", description=__doc__)
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
        if "lost the device" in report[name]:
            print(*report[name]["failures"], sep="\n", file=sys.stderr)
            sys.exit(f"{name}: {report[name]['lost the device']} broke the device, and nothing can run on it any more")
    write_text(arguments.out / "kernels_gpu.md", markdown(report))
    print(markdown(report))
    sys.exit(1 if failures(report) else 0)


if __name__ == "__main__":
    main()
