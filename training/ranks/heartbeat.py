"""Heartbeats between ranks: a sign of life from each, its step, and its last word; and how long a rank waits for them.

A thread on every rank of several writes (step, what it does, a number that grows) into the store a few times a second:
training itself only sets two attributes. When a collective fails, the others' signs tell which rank is gone, and where it
was: a rank lives whose number is seen to change. No host's clock is compared with another's. On CUDA,
NCCL's watchdog ends the process itself at the timeout (torchrun sets TORCH_NCCL_ASYNC_ERROR_HANDLING to 1, see PyTorch's
"ProcessGroupNCCL environment variables"), and no exception reaches Python: so the thread tells it shortly before.
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
REPORT_SECONDS = 3.0  # for asking the store, which may itself be out of reach
STUCK = 0.8  # of the timeout within one step: then it is said where everyone is, before the first gives up
MOST_NAMED = 8  # ranks in one message

TRAINING = "training"
WELL = "well, it noticed that a rank is gone"

# What the backends say when the other side is gone. gloo's were seen; NCCL's are from its source, no test here has a GPU.
GONE = (
    "gloo/transport",
    "Application timeout caused pair closure",
    "ncclRemoteError",
    "ncclSystemError",
    "remote process exited",
    "Watchdog caught collective operation timeout",
)


class PeerLostError(RuntimeError):
    """Another rank died, hangs or failed; this one is well."""


class Sign(NamedTuple):
    """A rank's sign of life: its step, what it does, for how long (seconds), and its number, counted from 1."""

    step: int
    doing: str
    seconds: float
    number: int


class Peers:
    """This rank's place in the run, and the others' as far as it knows. A run of one rank neither writes nor waits."""

    def __init__(self, rank: int = 0, size: int = 1, timeout_s: float = 0.0, patience_s: float = 0.0) -> None:
        """
        Args:
            timeout_s: seconds to wait for another rank within training steps.
            patience_s: seconds to wait while one may start, compile, save, evaluate or sample.
        """
        self.rank, self.size, self.timeout_s, self.patience_s = rank, size, timeout_s, patience_s
        self.step, self.doing = 0, "starting"
        self._since = time.monotonic()
        self._store: Store | None = None
        self._over = threading.Event()
        self._beats = 0

    def at(self, step: int, doing: str) -> None:
        """Say where this rank is. All ranks call it alike: coming back to training, they wait for each other patiently."""
        if self.size > 1:
            if doing == TRAINING != self.doing:
                dist.all_reduce(torch.zeros(1))  # on the host: whoever saved or sampled is waited for with patience
                set_timeouts(self.timeout_s)
            elif self.doing == TRAINING != doing:
                set_timeouts(self.patience_s)
            self._since = time.monotonic()
        self.step, self.doing = step, doing

    @contextlib.contextmanager
    def watching(self, store: Store) -> Iterator[None]:
        """Give signs of life through `store` while the block runs; an error in it is this rank's last word.

        Raises:
            PeerLostError: a collective failed for want of another rank; says which, and where it was.
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
            before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun ends the rest: first say who it was
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
        """One line a rank that failed, is silent, or stands still; waits a moment for signs of life."""
        lines: list[str] = []
        thread = threading.Thread(target=lambda: lines.extend(self._lines()), daemon=True)
        thread.start()
        thread.join(REPORT_SECONDS)
        if not lines:
            return "  the store of the run does not answer: the host that keeps it is gone, or the way there"
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
                guilty.append(f"  rank {rank} was last seen at {place}; no sign of life since, in {waited:.1f} s")
            else:
                alive.append(f"  rank {rank} lives, at {place} for {sign.seconds:.1f} s")
        return guilty or alive or ["  every other rank noticed the same: the network between them failed"]

    def _read(self, kind: str, ranks: list[int]) -> dict[int, str]:
        """What these ranks have written, where they have."""
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
        with contextlib.suppress(dist.DistError):  # the store is gone: the collectives will tell
            while not self._over.wait(BEAT_SECONDS):
                self._beat()
                seconds, step = time.monotonic() - self._since, self.step
                if self.doing == TRAINING and seconds > STUCK * self.timeout_s and told != step:
                    told = step
                    say = f"rank {self.rank} has stood at step {step} for {seconds:.0f} s (--run.timeout):\n{self.report()}\n"
                    print(f"warning: {say}Its threads:", file=sys.stderr, flush=True)
                    faulthandler.dump_traceback(file=sys.stderr)

    def _leave(self, word: str) -> None:
        """Leave the last word, and stop."""
        self._over.set()
        assert self._store is not None
        with contextlib.suppress(dist.DistError):
            self._store.set(f"last/{self.rank}", word[:300])


def set_timeouts(seconds: float) -> None:
    """How long the collectives of every group wait, those to come."""
    for group in list(_world.pg_map):
        _set_pg_timeout(timedelta(seconds=seconds), group)


def _sign(text: str) -> Sign:
    return Sign(*json.loads(text))
