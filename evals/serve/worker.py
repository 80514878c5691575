"""The bridge between the event loop and the generation engine, which runs in its own thread."""

import asyncio
import contextlib
import dataclasses
import itertools
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, TypeVar

from gpt_from_scratch.evals.serve.errors import RequestError, overloaded
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import Engine
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.generation.scored import Generated
from gpt_from_scratch.models.generation.turns import WaitingLine

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class ServedRow:
    """A prompt to continue, with the arguments of `Engine.add`."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    sampling: Sampling
    top: int = 0
    score_prompt: bool = False


@dataclasses.dataclass(frozen=True)
class _Arrived:
    """Rows by number, and whose they are: (client, request)."""

    owner: tuple[str, int]
    rows: dict[int, ServedRow]


@dataclasses.dataclass(frozen=True, eq=False)
class _Aside:
    """Something to compute with the model between two steps, and where its result is awaited."""

    client: str
    compute: Callable[[], Any]
    result: "asyncio.Future[Any]"


@dataclasses.dataclass(frozen=True)
class _Abandoned:
    numbers: list[int]


class Batch:
    """The rows of one request. `tokens` yields (row's index, token) until all are done; `stop` abandons a row."""

    def __init__(self, worker: "Worker", rows: Sequence[ServedRow]) -> None:
        self._worker = worker
        self._arrived: asyncio.Queue[tuple[int, Generated] | RequestError] = asyncio.Queue()
        self.open = dict(zip(worker.take_numbers(len(rows)), range(len(rows)), strict=True))

    async def tokens(self) -> AsyncGenerator[tuple[int, Generated], None]:
        """Raises RequestError if the engine failed."""
        while self.open or not self._arrived.empty():
            item = await self._arrived.get()
            if isinstance(item, RequestError):
                raise item
            yield item

    def deliver(self, item: tuple[int, Generated] | RequestError) -> None:
        self._arrived.put_nowait(item)

    def stop(self, index: int) -> None:
        """Make no more tokens for this row."""
        self._worker.abandon([number for number, row in self.open.items() if row == index])


class Worker:
    """One thread that runs one engine for all requests; its other methods are for the event loop's thread.

    Clients share the engine equally, and so do the requests of each client, however many rows they have.

    max_rows: how many sequences run at once
    max_queue: how many may run or wait; a request may take half of the places left, so that no few of them fill it
    """

    def __init__(
        self,
        checkpoint: OpenedModel,
        *,
        max_rows: int = 64,
        max_queue: int = ServerLimits.queue,
    ) -> None:
        self._checkpoint, self._max_rows, self._max_queue = checkpoint, max_rows, max_queue
        self._numbers = itertools.count()
        self._batches: dict[int, Batch] = {}  # by the number of a row
        self._requests = itertools.count()
        self._inbox: queue.SimpleQueue[_Arrived | _Abandoned | _Aside | None] = queue.SimpleQueue()
        self._asides: set[_Aside] = set()
        self._line: WaitingLine[_Aside] = WaitingLine()  # of asides, for the thread alone
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self.steps = 0
        """Forward passes so far: fewer than tokens, where requests were batched."""

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the step it is in."""
        self._inbox.put(None)
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether requests can be answered."""
        return self._thread.is_alive()

    @property
    def active(self) -> int:
        """Number of sequences and other computations that run or wait."""
        return len(self._batches) + len(self._asides)

    def take_numbers(self, count: int) -> list[int]:
        """Numbers for new rows."""
        return list(itertools.islice(self._numbers, count))

    @contextlib.contextmanager
    def submit(self, rows: Sequence[ServedRow], client: str = "") -> Iterator[Batch]:
        """Put a request's rows in line. What is not done at the block's end is abandoned.

        Raises:
            RequestError: too many rows in line, or an engine that has failed.
        """
        if not self.alive:
            raise _failed("the generation thread has ended")
        left = self._max_queue - self.active
        if len(rows) > min(left, max(1, left // 2)):
            raise overloaded(len(rows), self.active, self._max_queue)
        batch = Batch(self, rows)
        self._batches |= dict.fromkeys(batch.open, batch)
        owner = (client, next(self._requests))
        self._inbox.put(_Arrived(owner, {number: rows[index] for number, index in batch.open.items()}))
        try:
            yield batch
        finally:
            self.abandon(list(batch.open))

    async def aside(self, compute: Callable[[], Result], client: str = "") -> Result:
        """Compute something else with the model, which is one thread's at a time: at most one aside between two steps.

        Raises:
            RequestError: too many in line, a computation that failed (RuntimeError), or a thread that has ended.
        """
        if not self.alive:
            raise _failed("the generation thread has ended")
        if self.active >= self._max_queue:
            raise overloaded(1, self.active, self._max_queue)
        aside = _Aside(client, compute, self._loop.create_future())
        self._asides.add(aside)
        self._inbox.put(aside)
        try:
            made: Result = await aside.result
        finally:
            self._asides.discard(aside)
        return made

    def abandon(self, numbers: list[int]) -> None:
        """Forget rows, here at once and in the engine before its next step."""
        for number in numbers:
            if (batch := self._batches.pop(number, None)) is not None:
                del batch.open[number]
        if numbers:
            self._inbox.put(_Abandoned(numbers))

    def _deliver(self, made: list[tuple[int, Generated]]) -> None:
        """Hand tokens to their requests; those of rows that were abandoned meanwhile go nowhere."""
        for number, new in made:
            if (batch := self._batches.get(number)) is None:
                continue
            batch.deliver((batch.open[number], new))
            if new.finish is not None:
                del self._batches[number], batch.open[number]

    def _fail(self, reason: str) -> None:
        """End every request that is there."""
        for batch in {id(batch): batch for batch in self._batches.values()}.values():
            batch.open.clear()
            batch.deliver(_failed(reason))
        self._batches.clear()
        for aside in self._asides:
            _settle(aside.result, _failed(reason))

    def _run(self) -> None:
        """The thread: take what arrived, make a token for every row, hand them over."""
        try:
            while self._serve():
                pass
        finally:  # also of a defect, which the thread's end shows; nobody may wait for ever
            with contextlib.suppress(RuntimeError):  # the event loop is gone
                self._loop.call_soon_threadsafe(self._fail, "the generation thread has ended")

    def _serve(self) -> bool:
        """Run one engine until it fails; whether to go on with a fresh one."""
        engine = Engine(self._checkpoint.model, n_vocab=self._checkpoint.tokenizer.n_vocab, max_rows=self._max_rows)
        ours: dict[int, int] = {}  # the engine's number of a row -> the worker's
        theirs: dict[int, int] = {}
        while True:
            while not self._inbox.empty() or not (engine.busy or self._line):
                message = self._inbox.get()
                if message is None:
                    return False
                if isinstance(message, _Aside):
                    self._line.join((message.client,), message)
                    continue
                if isinstance(message, _Abandoned):
                    gone = [theirs.pop(number) for number in message.numbers if number in theirs]
                    engine.remove(*gone)
                    for number in gone:
                        del ours[number]
                    continue
                for number, row in message.rows.items():
                    theirs[number] = engine.add(
                        row.prompt,
                        row.max_new_tokens,
                        row.sampling,
                        top=row.top,
                        score_prompt=row.score_prompt,
                        owner=message.owner,
                    )
                    ours[theirs[number]] = number
            self._serve_aside()
            if not engine.busy:
                continue
            try:
                made = [(ours[new.row], new) for new in engine.step()]
            except RuntimeError as error:  # out of memory, or logits that are no numbers
                reason = str(error).splitlines()[0]
                print(f"generation failed, every request in flight ends: {reason}", flush=True)
                self._loop.call_soon_threadsafe(self._fail, reason)
                return True
            self.steps += 1
            for number, new in made:
                if new.finish is not None:
                    del ours[theirs.pop(number)]
            self._loop.call_soon_threadsafe(self._deliver, made)

    def _serve_aside(self) -> None:
        """The next aside that somebody still waits for, if there is one."""
        while self._line:
            aside = self._line.take()
            self._line.leave((aside.client,))
            if aside.result.done():  # its client has gone
                continue
            made: Any
            try:
                made = aside.compute()
            except RuntimeError as error:  # out of memory
                made = _failed(str(error).splitlines()[0])
            self._loop.call_soon_threadsafe(_settle, aside.result, made)
            return


def _settle(future: "asyncio.Future[Any]", made: Any) -> None:
    """Give a result, or an error, to whoever still waits for it."""
    if future.done():
        return
    if isinstance(made, RequestError):
        future.set_exception(made)
    else:
        future.set_result(made)


def _failed(reason: str) -> RequestError:
    return RequestError(f"generation failed: {reason}", status=500, kind="server_error")
