"""Benchmark of the evals' overhead: generating and scoring problems, and a complete run through a real client.

    python -m gpt_from_scratch.benchmarks.evals.rate [--samples 10000] [--in-flight 64] [--delay 0.25]

The run goes through OpenAI's own client to the scripted server of the tests, a process of its own on loopback, beside a
bare loop of the same client in as many threads. It fails unless each sample was asked exactly once, and each row holds
its own answer.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpt_from_scratch.evals.answers.scorers import get_scorer
from gpt_from_scratch.evals.arithmetic.sample_generation import create_samples
from gpt_from_scratch.evals.protocol.prompts import PromptStyle, ask
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.providers.echo_provider import EchoProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples

SERVER = Path(__file__).parents[2] / "tests" / "evals" / "scripted_server.py"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.25, help="seconds that the server takes for an answer")
    given = parser.parse_args()
    print(f"{given.samples} problems or samples, {given.in_flight} in flight, {given.delay} s an answer")
    with timed("problems of depth 10 made and solved"):
        problems = create_samples(10, given.samples, seed=0)
    with timed("their right answers scored"):
        scorer = get_scorer("numeric_close")
        scores = [scorer(problem.ideal_answers[0], ask(problem, PromptStyle())).value for problem in problems]
    expect(all(score == 1.0 for score in scores), "a right answer was scored wrong")
    samples = [QA(id=f"q{i}", body=f"say {i}", ideal_answers=[f"say {i}"]) for i in range(given.samples)]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "run.jsonl"
        with timed("a run of the echo, recorded"):
            run_samples(samples, EchoProvider(), model="echo", resume_path=record, progress=False)
        with timed("the same record gone on with: nothing to ask"):
            run_samples(samples, EchoProvider(), model="echo", resume_path=record, progress=False)
        with server() as url:
            post(f"{url}/_script", {"delay": given.delay})
            bare_loop(url, samples, given.in_flight)
            post(f"{url}/_script", {"delay": given.delay})
            through_the_runner(url, samples, given.in_flight, Path(folder) / "server.jsonl")


def bare_loop(url: str, samples: list[QA], in_flight: int) -> None:
    """The client alone: what no runner can be faster than."""
    client = OpenAIProvider(base_url=f"{url}/v1").client

    def complete(sample: QA) -> Any:
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": str(sample.body)}])

    with timed("the client in a bare loop of threads"), concurrent.futures.ThreadPoolExecutor(in_flight) as threads:
        list(threads.map(complete, samples))


def through_the_runner(url: str, samples: list[QA], in_flight: int, record: Path) -> None:
    """A recorded run, and the proof that nothing was lost or doubled."""
    provider = OpenAIProvider(base_url=f"{url}/v1")
    with timed("run_samples through the same client, recorded"):
        result = run_samples(
            samples, provider, model="m", max_concurrency=in_flight, resume_path=record, progress=False
        )
    with urllib.request.urlopen(f"{url}/_log") as reply:
        state = json.load(reply)
    asked = collections.Counter(entry["body"]["messages"][-1]["content"] for entry in state["log"])
    expect(asked == {str(sample.body): 1 for sample in samples}, "a sample was lost or doubled")
    expect([row.output for row in result.sample_results] == [s.body for s in samples], "a row holds another's answer")
    expect(state["most_in_flight"] <= in_flight, "more were in flight than allowed")
    print(f"each of {len(samples)} asked once; at most {state['most_in_flight']} in flight; accuracy {result.accuracy}")


def expect(condition: bool, otherwise: str) -> None:
    """A check that no optimisation of Python removes."""
    if not condition:
        raise RuntimeError(otherwise)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print the block's wall time and this process's CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{what:48} {time.perf_counter() - wall:7.2f} s, {time.process_time() - cpu:7.2f} s of CPU", flush=True)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The tests' scripted server: its URL."""
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("the server has no output")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def post(url: str, body: Any) -> None:
    """Send JSON."""
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST")).close()


if __name__ == "__main__":
    main()
