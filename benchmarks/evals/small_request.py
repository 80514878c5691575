"""Benchmark of the wait of a 4-token request beside 64 streams and one request of 960 rows.

    python -m gpt_from_scratch.benchmarks.evals.small_request RUN [--requests 20]

A real server (`gpt serve`) on a free port. Streams that have ended are replaced, so that there are always 64. The machine's
load average is printed with the times: other programs take the same cores.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator

STREAMS, ROWS, TOKENS = 64, (60, 16), 4
"""Streams beside; prompts and answers to each of the large request; tokens of the small one."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="a run, a checkpoint or a model's folder")
    parser.add_argument("--requests", type=int, default=20, help="small requests, one after another")
    given = parser.parse_args()
    asyncio.run(measure(given.run, given.requests))


async def measure(run: str, requests: int) -> None:
    """Start the server, occupy it, ask."""
    async with server(run) as (host, port, model):

        async def ask(**body: object) -> tuple[float, int]:
            """Seconds until the whole answer was there, and its bytes."""
            started = time.perf_counter()
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                content = json.dumps({"model": model, **body}).encode()
                head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content)
                answer = await reader.read(-1)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer[:300].decode("utf-8", "replace"))
            return time.perf_counter() - started, len(answer)

        async def stream(seed: int) -> None:
            while True:
                await ask(prompt="Once upon a time", max_tokens=1000, stream=True, seed=seed)

        async def large() -> None:
            while True:
                await ask(prompt=["Once upon a time"] * ROWS[0], n=ROWS[1], max_tokens=1000)

        await ask(prompt="The cat", max_tokens=TOKENS)  # the first has the start-up in it
        alone = [(await ask(prompt="The cat", max_tokens=TOKENS))[0] for _ in range(requests)]
        others = [asyncio.create_task(large()), *(asyncio.create_task(stream(seed)) for seed in range(STREAMS))]
        await asyncio.sleep(2)
        beside = []
        for _ in range(requests):
            beside.append((await ask(prompt="The cat", max_tokens=TOKENS))[0])
            if failed := next((task for task in others if task.done()), None):
                failed.result()
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    print(
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; seconds of {requests} requests of {TOKENS} tokens"
    )
    for name, times in (("alone", alone), (f"beside {STREAMS} streams and {ROWS[0] * ROWS[1]} rows", beside)):
        print(f"{name:<32} median {statistics.median(times):.3f}, longest {max(times):.3f}")


@contextlib.asynccontextmanager
async def server(run: str) -> AsyncIterator[tuple[str, int, str]]:
    """`gpt serve RUN` while the block runs: its host, port and the model's name."""
    command = (sys.executable, "-m", "gpt_from_scratch", "serve", run, "--port", "0", "--name", "model")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode()
        place = re.search(r"http://([^:/]+):(\d+)", said)
        if place is None:
            raise RuntimeError(f"the server did not start: {said}")
        yield place[1], int(place[2]), "model"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
