"""Runs in a process of their own that are killed, and runs that go on from what they left."""

import collections
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples

SAMPLES = 40
CHILD = """
import sys
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples
from gpt_from_scratch.evals.protocol.samples import QA

samples = [QA(id=f"q{i}", body=f"say {i}", ideal_answers=[f"say {i}"]) for i in range(int(sys.argv[3]))]
run_samples(samples, OpenAIProvider(base_url=sys.argv[1]), model="m", resume_path=sys.argv[2], max_concurrency=4)
"""


NOTEBOOK = (
    CHILD.replace("run_samples(samples", "import asyncio\nasync def cell():\n    run_samples(samples", 1)
    + """
asyncio.new_event_loop().run_until_complete(cell())
"""
)


def start(url: str, record: Path, code: str = CHILD) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", code, url, str(record), str(SAMPLES)]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def recorded(path: Path) -> list[str]:
    lines = path.read_text().splitlines()[1:] if path.exists() else []
    return [json.loads(line)["row"]["sample"]["body"] for line in lines]


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)


def asked(server: Any) -> dict[str, int]:
    return dict(collections.Counter(entry["body"]["messages"][-1]["content"] for entry in server.log))


def finish(url: str, record: Path) -> Any:
    samples = [QA(id=f"q{i}", body=f"say {i}", ideal_answers=[f"say {i}"]) for i in range(SAMPLES)]
    return run_samples(samples, OpenAIProvider(base_url=url), model="m", resume_path=record, progress=False)


def test_after_kill_9_each_answer_is_asked_for_once(server: Any, tmp_path: Path) -> None:
    record, url = tmp_path / "run.jsonl", f"{server.url}/v1"
    server.script(gate_after=15)
    with start(url, record) as process:
        wait_for(lambda: len(recorded(record)) == 15 and len(server.log) == 19)
        process.send_signal(signal.SIGKILL)
    before = recorded(record)
    assert len(set(before)) == 15
    server.script()
    result = finish(url, record)
    assert asked(server) == {f"say {i}": 1 for i in range(SAMPLES) if f"say {i}" not in before}
    assert result.accuracy == 1.0 and len(result.sample_results) == SAMPLES


@pytest.mark.parametrize("torn", [b'{"key": "0123', b'{"key": "0", "row": {"input": "\xe4'])
def test_a_line_torn_by_the_kill_is_cut_off(server: Any, tmp_path: Path, torn: bytes) -> None:
    record, url = tmp_path / "run.jsonl", f"{server.url}/v1"
    finish(url, record)
    whole = record.read_bytes()
    record.write_bytes(whole[: whole.rstrip(b"\n").rfind(b"\n") + 1] + torn)
    server.script()
    assert finish(url, record).accuracy == 1.0
    assert len(server.log) == 1 and len(recorded(record)) == SAMPLES


@pytest.mark.parametrize("code", [CHILD, NOTEBOOK], ids=["script", "notebook"])
def test_ctrl_c_waits_for_what_is_in_flight(server: Any, tmp_path: Path, code: str) -> None:
    record, url = tmp_path / "run.jsonl", f"{server.url}/v1"
    server.script(delay=0.5)
    with start(url, record, code) as process:
        wait_for(lambda: len(server.log) >= 6)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors and process.returncode != 0
    assert sorted(recorded(record)) == sorted(asked(server)) and len(server.log) < SAMPLES


def test_two_runs_do_not_write_one_record(server: Any, tmp_path: Path) -> None:
    record, url = tmp_path / "run.jsonl", f"{server.url}/v1"
    server.script(gate_after=0)
    with start(url, record) as process:
        wait_for(lambda: len(server.log) == 4)
        with pytest.raises(RuntimeError, match=f"another run is writing {record}: process {process.pid} on"):
            finish(url, record)
        process.send_signal(signal.SIGKILL)
    server.open_gate()
