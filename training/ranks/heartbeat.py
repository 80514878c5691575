"""Heartbeats between ranks: the step of each rank, its final error, and timeouts.

If there are several ranks, a thread on each writes (step, activity, counter) into the store a few times per second. The
training loop only sets two attributes. When a collective fails, the heartbeats tell which rank failed, and at which step: a
rank is alive if its counter changes. Clocks of different hosts are never compared. On CUDA, NCCL's watchdog ends the
process itself at the timeout (torchrun sets TORCH_NCCL_ASYNC_ERROR_HANDLING to 1, see PyTorch's "ProcessGroupNCCL
environment variables"), and no exception reaches Python. So the thread reports shortly before.
"""

import contextlib
import faulthandler
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Store
from torch.distributed.distributed_c10d import _set_pg_timeout, _world

BEAT_SECONDS = 0.2
SILENT_SECONDS = 3 * BEAT_SECONDS
REPORT_SECONDS = 3.0  # timeout of a query to the store, which may be unreachable, too
STUCK = 0.8  # fraction of the timeout within one step, after which all positions are reported, before the first rank gives up
MOST_NAMED = 8  # maximum number of ranks in a message

TRAINING = "training"
WELL = "well, it noticed that a rank is gone"

# Error messages of the backends when another rank is gone. gloo's were observed; NCCL's are from its source (untested).
GONE = (
    "gloo/transport",
    "Application timeout caused pair closure",
    "ncclRemoteError",
    "ncclSystemError",
    "remote process exited",
    "Watchdog caught collective operation timeout",
)


class PeerLostError(RuntimeError):
    """Another rank died, hangs or failed; this rank is fine."""


class Sign(NamedTuple):
    """A rank's heartbeat: its step, its activity, the activity's seconds so far, and a counter from 1."""

    step: int
    doing: str
    seconds: float
    number: int


class Peers:
    """Heartbeats of this rank and of the others. A run of one rank neither writes nor waits."""

    def __init__(self, rank: int = 0, size: int = 1, timeout_s: float = 0.0, patience_s: float = 0.0) -> None:
        """
        Args:
            timeout_s: seconds to wait for another rank during training steps.
            patience_s: seconds to wait while a rank starts, compiles, saves, evaluates or samples.
        """
        self.rank, self.size, self.timeout_s, self.patience_s = rank, size, timeout_s, patience_s
        self.step, self.doing = 0, "starting"
        self._since = time.monotonic()
        self._store: Store | None = None
        self._over = threading.Event()
        self._beats = 0

    def at(self, step: int, doing: str) -> None:
        """Set this rank's step and activity; all ranks call it. The first step after other work has the long timeout."""
        if self.size > 1:
            if doing == TRAINING != self.doing:
                dist.all_reduce(
                    torch.zeros(1)
                )  # a barrier on the host, with the long timeout for ranks that save or sample
                set_timeouts(self.timeout_s)
            elif self.doing == TRAINING != doing:
                set_timeouts(self.patience_s)
            self._since = time.monotonic()
        self.step, self.doing = step, doing

    @contextlib.contextmanager
    def watching(self, store: Store) -> Iterator[None]:
        """Send heartbeats through `store` while the block runs; an error in it is sent as this rank's final message.

        Raises:
            PeerLostError: a collective failed because another rank is gone; names the rank and its step.
        """
        self._store = store
        self._beat()
        threading.Thread(target=self._keep_beating, name="signs-of-life", daemon=True).start()
        try:
            yield
        except RuntimeError as error:
            if not any(words in str(error) for words in GONE):
                self._leave(f"failed: {type(error).__name__}: {error}")
                raise
            self._leave(WELL)
            before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun ends the other ranks, so tell them first
            report = self.report()
            signal.signal(signal.SIGTERM, before)
            raise PeerLostError(
                f"another rank is gone, noticed at step {self.step} ({self.doing}):\n{report}\n"
                f"  torch says: {str(error).splitlines()[0]}"
            ) from error
        except BaseException as error:
            self._leave(f"failed: {type(error).__name__}: {error}")
            raise
        else:
            self._leave("ended")

    def report(self) -> str:
        """Report one line per rank that failed, is silent, or does not progress. It waits a moment for heartbeats."""
        lines: list[str] = []
        thread = threading.Thread(target=lambda: lines.extend(self._lines()), daemon=True)
        thread.start()
        thread.join(REPORT_SECONDS)
        if not lines:
            return "  the store of the run does not answer: its host is down or unreachable"
        return "\n".join(lines[:MOST_NAMED] + ([f"  and {len(lines) - MOST_NAMED} more"] if lines[MOST_NAMED:] else []))

    def _lines(self) -> list[str]:
        others = [rank for rank in range(self.size) if rank != self.rank]
        begin = time.monotonic()
        try:
            before = self._read("sign", others)
            while True:
                signs, words = self._read("sign", others), self._read("last", others)
                unsure = [r for r in others if r not in words and signs.get(r) == before.get(r)]
                waited = time.monotonic() - begin
                if not unsure or waited > SILENT_SECONDS:
                    break
                time.sleep(0.02)
        except dist.DistError:
            return []
        guilty, alive = [], []
        for rank in others:
            sign = _sign(signs[rank]) if rank in signs else Sign(0, "starting", 0.0, 0)
            place = f"step {sign.step} ({sign.doing})"
            if rank in words:
                if words[rank] != WELL:
                    guilty.append(f"  rank {rank} at {place}: {words[rank]}")
            elif rank in unsure:
                guilty.append(f"  rank {rank} was last seen at {place}; no heartbeat in {waited:.1f} s")
            else:
                alive.append(f"  rank {rank} is alive, at {place} for {sign.seconds:.1f} s")
        return guilty or alive or ["  every other rank reports the same: the network between them failed"]

    def _read(self, kind: str, ranks: list[int]) -> dict[int, str]:
        """Read the values that these ranks have written."""
        assert self._store is not None
        keys = {rank: f"{kind}/{rank}" for rank in ranks}
        if not self._store.check(list(keys.values())):
            keys = {rank: key for rank, key in keys.items() if self._store.check([key])}
        values = self._store.multi_get(list(keys.values())) if keys else []
        return {rank: value.decode() for rank, value in zip(keys, values, strict=True)}

    def _beat(self) -> None:
        assert self._store is not None
        self._beats += 1
        sign = Sign(self.step, self.doing, time.monotonic() - self._since, self._beats)
        self._store.set(f"sign/{self.rank}", json.dumps(sign))

    def _keep_beating(self) -> None:
        told = -1
        with contextlib.suppress(dist.DistError):  # the store is gone: the collectives will fail and report it
            while not self._over.wait(BEAT_SECONDS):
                self._beat()
                seconds, step = time.monotonic() - self._since, self.step
                if self.doing == TRAINING and seconds > STUCK * self.timeout_s and told != step:
                    told = step
                    say = f"rank {self.rank} has been at step {step} for {seconds:.0f} s (--run.timeout):\n{self.report()}\n"
                    print(f"warning: {say}Its threads:", file=sys.stderr, flush=True)
                    faulthandler.dump_traceback(file=sys.stderr)

    def _leave(self, word: str) -> None:
        """Write the final message, and stop the thread."""
        self._over.set()
        assert self._store is not None
        with contextlib.suppress(dist.DistError):
            self._store.set(f"last/{self.rank}", word[:300])


def set_timeouts(seconds: float) -> None:
    """Set the timeout of all further collectives, in every group."""
    for group in list(_world.pg_map):
        _set_pg_timeout(timedelta(seconds=seconds), group)


def _sign(text: str) -> Sign:
    return Sign(*json.loads(text))
