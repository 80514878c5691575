"""Two hosts train one model; one is cut off from the network and comes back. The hosts are network namespaces: root is needed.

    python -m tests.training.faults.two_hosts [--write]

A torchrun on each, `--nnodes 1:2`, c10d rendezvous on the first. The second loses its link: the first notices at
--run.timeout, goes on alone from the newest checkpoint, and takes the second in again when it is back. A torchrun that
has given up meanwhile is started again, by the same command, as a scheduler would. Both see the same folder: hosts must.
"""

import argparse
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.training.faults.launch import TINY, Job, last_step, losses, publish, records, text_file

TIMEOUT = 5.0  # seconds, --run.timeout
ADDRESSES = ("10.213.7.1", "10.213.7.2")
STEPS = 100_000  # more than it will make: SIGTERM ends it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/two_hosts.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, two_hosts() as hosts:
        text = prove(Path(scratch), hosts)
    print(text)
    if given.write:
        publish(
            "two_hosts", "Two hosts, one cut off and back", "python -m tests.training.faults.two_hosts --write", text
        )


@contextmanager
def two_hosts() -> Iterator[list[str]]:
    """The names of two network namespaces that reach each other at ADDRESSES."""
    names = [f"gpt-host-{letter}-{os.getpid()}" for letter in "ab"]
    ends = [f"gpt{letter}{os.getpid()}" for letter in "ab"]
    try:
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("netns", "add", name)
            # A host's own name must stand for the address at which the other reaches it, not for 127.0.0.1.
            hosts = Path("/etc/netns") / name / "hosts"
            hosts.parent.mkdir(parents=True)
            hosts.write_text(f"127.0.0.1 localhost\n{address} {socket.gethostname()}\n", encoding="utf-8")
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            ip("link", "set", end, "netns", name, "name", "link0")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "link0")
            for device in ("lo", "link0"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)
            (Path("/etc/netns") / name / "hosts").unlink(missing_ok=True)
            (Path("/etc/netns") / name).rmdir()


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def prove(scratch: Path, hosts: list[str]) -> str:
    """Train, cut, train alone, join, train together; the table of what was measured.

    Raises:
        AssertionError: one of these did not happen.
    """
    arguments = [*TINY, "--data.path", str(text_file(scratch / "text.txt")), "--steps", str(STEPS)]
    arguments += ["--run.timeout", str(TIMEOUT), "--run.folder", str(scratch), "--run.name", "run", "--resume", "auto"]
    conf = "last_call_timeout=2,join_timeout=120,keep_alive_interval=1,keep_alive_max_attempt=3,read_timeout=20"
    launch = ["--nnodes=1:2", "--max-restarts=20", "--rdzv-backend=c10d", f"--rdzv-endpoint={ADDRESSES[0]}:29400"]
    launch += ["--rdzv-id=two-hosts", f"--rdzv-conf={conf}"]
    folder = scratch / "run"

    def start(number: int) -> Job:
        local = f"--local-addr={ADDRESSES[number]}"
        inside = ["ip", "netns", "exec", hosts[number]]
        return Job(arguments, scratch / f"{number}.txt", launch=[*launch, local], prefix=inside)

    jobs = [start(0), start(1)]
    began_again = False
    rows = []
    try:
        jobs[0].wait_for(lambda: (last_step(folder) > 60 and ranks_of(folder) == 2) or None, 90)
        rows.append(f"| steps together at first | {last_step(folder)} |")
        cut, before = time.monotonic(), len(records(folder))
        ip("-n", hosts[1], "link", "set", "link0", "down")
        jobs[0].wait_for_words(
            r"error on rank \d: another rank is gone[^\n]*\n[^\n]*rank \d was last seen", TIMEOUT + 20
        )
        rows.append(
            f"| the lost rank named by the other (timeout {TIMEOUT:g} s) | after {time.monotonic() - cut:.1f} s |"
        )
        jobs[0].wait_for(lambda: went_on(folder, before, 1), 90)
        rows.append(f"| next step of the first host alone | after {time.monotonic() - cut:.1f} s |")
        time.sleep(3)
        alone, before = last_step(folder), len(records(folder))
        back = time.monotonic()
        ip("-n", hosts[1], "link", "set", "link0", "up")

        def together() -> bool | None:
            nonlocal began_again
            if jobs[1].process.poll() is not None:
                jobs[1], began_again = start(1), True
            return went_on(folder, before, 2)

        jobs[0].wait_for(together, 150)
        rows.append(
            f"| next step of both, once its link was back, at step {alone} | after {time.monotonic() - back:.1f} s |"
        )
        rows.append(
            f"| the second host's torchrun | {'had given up, was started again' if began_again else 'lived on'} |"
        )
        target = last_step(folder) + 50
        jobs[0].wait_for(lambda: last_step(folder) >= target or None)
        seen = losses(folder)
        assert sorted(seen) == list(range(1, max(seen) + 1)), "a step is missing"
        rows.append(f"| steps in all, none left out | {max(seen)} |")
    finally:
        for job in jobs:
            job.end()
    return "\n".join(["| | |", "|---|---|", *rows])


def ranks_of(folder: Path) -> int:
    """With how many ranks the run goes on now."""
    return int(json.loads((folder / "run.json").read_text(encoding="utf-8"))["world_size"])


def went_on(folder: Path, before: int, ranks: int) -> bool | None:
    """Whether steps follow a new beginning with so many ranks."""
    lines = records(folder)[before:]
    begun = next((n for n, line in enumerate(lines) if line["kind"] == "event" and "resumed" in line["message"]), None)
    if begun is None or ranks_of(folder) != ranks:
        return None
    return any(line["kind"] == "train" for line in lines[begun:]) or None


if __name__ == "__main__":
    main()
