"""The SLURM script with SLURM's programs replaced: what it starts, and what it does when it is told to stop."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "training" / "slurm" / "gpt2_124m.sbatch"
PROGRAMS = {
    # As srun does: options first, then the command, run in a process group of its own.
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done\nsetsid "$@" &\necho $! > step\nwait $!',
    "scontrol": '[ "$1" = show ] && printf "node7\\nnode8\\n" || echo "$@" >> asked',
    "scancel": 'echo "$@" >> asked\nkill -TERM "$(cat step)"',
    # A run that saves at SIGTERM, as torchrun and its ranks would.
    "torchrun": """echo "$@" > started
mkdir -p runs/mine
trap 'echo "{\\"state\\": \\"interrupted\\"}" > runs/mine/run.json; exit 1' TERM
case "$OUTCOME" in
    finishes) echo '{"state": "finished"}' > runs/mine/run.json ;;
    fails) exit 3 ;;
    *) touch running; while true; do sleep 0.05; done ;;
esac""",
}


@pytest.fixture
def submit(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def start(outcome: str, *arguments: str) -> "subprocess.Popen[str]":
        slurm = {"JOB_ID": "41234", "JOB_NODELIST": "node[7-8]", "JOB_NUM_NODES": "2", "SUBMIT_DIR": str(tmp_path)}
        slurm |= {"GPUS_ON_NODE": "4", "CPUS_PER_TASK": "32", "RESTART_COUNT": "2"}
        environment = {f"SLURM_{name}": value for name, value in slurm.items()}
        environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN_NAME": "mine", "OUTCOME": outcome}
        environment["TORCHRUN"] = "torchrun"
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(["bash", str(SCRIPT), *arguments], env=environment, cwd=tmp_path, **pipes)  # type: ignore[call-overload]

    return start


def test_a_finished_run_is_not_queued_again(submit: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    job = submit("finishes", "--steps", "7")
    printed, _ = job.communicate(timeout=30)
    assert job.returncode == 0 and "finished: runs/mine" in printed
    assert not (tmp_path / "asked").exists()
    assert (tmp_path / "started").read_text().split() == [
        "--nnodes=2",
        "--nproc-per-node=4",
        "--max-restarts=3",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=node7:21234",
        "--rdzv-id=41234-2",
        *("training/train_gpt2.py", "gpt2-124m", "--data", "fineweb-edu"),
        *("--run.name", "mine", "--resume", "auto", "--steps", "7"),
    ]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_run_that_must_stop_saves_and_is_queued_again(
    number: signal.Signals, submit: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    job = submit("runs")
    while not (tmp_path / "running").exists():
        assert job.poll() is None, job.communicate()
        time.sleep(0.02)
    job.send_signal(number)
    printed, _ = job.communicate(timeout=30)
    assert job.returncode == 0, printed
    assert (tmp_path / "asked").read_text().splitlines() == ["--signal=TERM 41234", "requeue 41234"]
    assert "interrupted" in (tmp_path / "runs" / "mine" / "run.json").read_text()


def test_a_run_that_fails_is_not_queued_again(submit: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    job = submit("fails")
    printed, _ = job.communicate(timeout=30)
    assert job.returncode == 3 and "failed with status 3" in printed
    assert not (tmp_path / "asked").exists()
