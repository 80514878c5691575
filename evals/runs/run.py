"""The run of `run_samples`: a pool of workers that asks, scores and records the questions."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gpt_from_scratch.evals.answers.scorers import Score, Scorer, get_scorer
from gpt_from_scratch.evals.protocol.limits import Account
from gpt_from_scratch.evals.protocol.messages import Call, GetTextRequest, Usage
from gpt_from_scratch.evals.protocol.pricing import FREE, price_of, source_of
from gpt_from_scratch.evals.protocol.prompts import Asked
from gpt_from_scratch.evals.protocol.provider import Provider, ProviderError, fingerprint
from gpt_from_scratch.evals.protocol.samples import AnySample, EvalResult, SampleResult
from gpt_from_scratch.evals.results.answer_cache import CachedAnswer
from gpt_from_scratch.evals.results.record import Journal
from gpt_from_scratch.evals.results.results import make_result
from gpt_from_scratch.evals.runs.calls import Asker, Tally, ask_provider, expected_usage, most_usage
from gpt_from_scratch.evals.runs.progress import ProgressLine, Status
from gpt_from_scratch.evals.runs.questions import Item, RunOptions, make_items


class EvalRun:
    """One run; `result` runs it."""

    def __init__(
        self,
        samples: Sequence[AnySample],
        provider: Provider,
        scorer: str | Scorer | Callable[[str, Asked], Any],
        options: RunOptions,
        progress: ProgressLine | None,
    ) -> None:
        self.provider, self.options, self.progress = provider, options, progress
        self.scorer, self.fingerprint = get_scorer(scorer), fingerprint(provider)
        self.items = make_items(samples, options, self.fingerprint)
        self.price = options.price or price_of(options.model, served=getattr(provider, "served", False))
        self.account = Account(options.limits, self.price)
        if options.limits.cost is not None and getattr(self.scorer, "price", FREE) is None:
            raise ValueError(f"a limit on cost needs the price of the grader too: give {self.scorer.name} a price")
        self.rows: dict[str, SampleResult] = {}
        self.stopped: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._journal: Journal | None = None
        self._unwritten: list[tuple[str, SampleResult]] = []

    def identity(self) -> dict[str, Any]:
        """The common properties of all rows of a record."""
        options = self.options
        return {
            "model": options.model,
            "provider": self.fingerprint,
            "temperature": options.temperature,
            "max_tokens": options.max_tokens,
            "scorer": self.scorer.name,
        }

    async def result(self) -> EvalResult:
        options = self.options
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()
        self._write_lock = asyncio.Lock()
        self._asker = Asker(options.max_concurrency, options.backoff, options.seed)
        self._status = Status(len(self.items), retries=self._asker.retries)
        with contextlib.ExitStack() as stack:
            stack.callback(self._asker.close)
            before: list[SampleResult] = []
            if options.resume_path is not None:
                self._journal = stack.enter_context(Journal(options.resume_path, self.identity()))
                before = [*self._journal.superseded, *self._journal.rows.values()]
            for row in before:
                self.account.settle(Usage(row.input_tokens, row.output_tokens), row.cost)
            old = self._journal.rows if self._journal else {}
            for item in self.items:
                if item.key in old and self._is_done(old[item.key]):
                    self._keep(item.key, old[item.key])
            remaining = [item for item in self.items if item.key not in self.rows]
            self._announce(remaining, old)
            await self._work(iter(remaining), dict(old))
            self._show(last=True)
        return make_result(
            [self.rows[item.key] for item in self.items if item.key in self.rows],
            model=options.model,
            requested=len(self.items),
            stopped=self.stopped,
            account=self.account,
            retries=dict(self._asker.retries),
            save_path=options.resume_path,
        )

    def _is_done(self, row: SampleResult) -> bool:
        return row.error is None or (row.permanent and not self.options.retry_all)

    def interrupt(self) -> None:
        """End the run from another thread, when what is in flight is recorded."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._asker.stopping.set)

    def _announce(self, remaining: list[Item], old: dict[str, SampleResult]) -> None:
        """Print the expected cost before the run."""
        cache = self.options.cache
        answered = {key for key, row in old.items() if row.output is not None}
        to_ask = [i for i in remaining if i.key not in answered and not (cache and i.cache_key in cache)]
        if self.progress is None or not to_ask or (self.price and not self.price.input and not self.price.output):
            return
        each = [expected_usage(item.asked.prompt, self.options.max_tokens) for item in to_ask]
        expected = sum(each, Usage())
        tokens = (
            f"{len(to_ask)} requests, about {expected.input_tokens} tokens to read and at most "
            f"{expected.output_tokens} to write"
        )
        if self.price is None:
            cost = "its price is not known here (give price=Price(input, output), or --price IN OUT)"
        else:
            low = sum(self.price.cost(Usage(usage.input_tokens)) for usage in each)
            high = sum(self.price.cost(usage) for usage in each)
            source = "" if self.options.price else f", by the prices of {source_of(self.options.model)}"
            cost = f"expected cost ${low:.4f} to ${high:.4f}{source}"
        self.progress.say(f"{self.options.model}: {tokens}; {cost}")

    async def _work(self, remaining: Iterator[Item], old: dict[str, SampleResult]) -> None:
        """Workers take questions until none is left. The first defect, or Ctrl-C, ends the run when those in flight are
        recorded: they are paid for.
        """

        async def worker() -> None:
            for item in remaining:
                if self._asker.stopping.is_set():
                    return
                await self._one(item, old.get(item.key))

        workers = [asyncio.create_task(worker()) for _ in range(self.options.max_concurrency)]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._asker.stopping.set()
            failures = [f for f in await asyncio.gather(*workers, return_exceptions=True) if f is not None]
        if failures:
            raise failures[0]

    async def _one(self, item: Item, before: SampleResult | None) -> None:
        """Ask, score and record one question; `before` is its row with an error, from a run that is resumed."""
        started, tally = time.monotonic(), Tally()
        answer, spent, error, cached, cost = None, Usage(), None, False, self._cost(Usage())
        uncounted = Usage()
        if before is not None and before.output is not None:
            answer = _answer_of(before)  # only its scoring failed
        elif self.options.cache is not None and (answer := self.options.cache.get(item.cache_key)) is not None:
            cached = True
        else:
            most = most_usage(item.asked.prompt, self.options.max_tokens)
            if not await self._admit(most):
                return

            def has_room(tally: Tally) -> bool:
                return self.account.why_not(_times(most, tally.uncounted) + tally.lost) is None

            try:
                left = self.account.seconds_left
                answer = await self._asker.attempt(lambda: self._ask(item), tally, left, has_room)
                spent = answer.call.usage
                if not answer.call.counted:
                    uncounted = _up_to(most, spent)
            except ProviderError as problem:
                error = problem
            finally:
                spent += tally.lost
                cost = await self._settle(most, spent, _times(most, tally.uncounted) + uncounted)
        row = self._row(item, answer, spent, cost, cached=cached)
        try:
            if answer is not None:
                await self._score(item, answer, row)
            elif error is not None:
                row.error, row.error_kind, row.permanent = str(error), error.kind, error.permanent
                self._stop_if_hopeless(error)
        finally:
            row.retries, row.seconds = tally.retries, round(time.monotonic() - started, 3)
            await self._record(item.key, row)

    def _ask(self, item: Item) -> CachedAnswer:
        """Ask one question, in a thread."""
        options = self.options
        request = GetTextRequest(
            context=None,
            prompt=item.asked.prompt,
            temperature=options.temperature,
            max_tokens=options.max_tokens,
        )
        return ask_provider(self.provider, options.model, request, options.cache, item.cache_key)

    async def _admit(self, most: Usage) -> bool:
        """Wait until a request of at most `most` fits under the limits; False where it never will."""
        async with self._changed:
            while reason := self.account.why_not(most):
                if self.account.in_flight == 0 or self.account.seconds_left() <= 0:
                    self.stopped = self.stopped or reason
                    self._asker.stopping.set()
                    return False
                await self._changed.wait()
            if self._asker.stopping.is_set():
                return False
            self.account.reserve(most)
            return True

    async def _settle(self, most: Usage, spent: Usage, uncounted: Usage) -> float | None:
        """Note what a question used, and what it may have used beyond that; the most that it can have cost."""
        async with self._changed:
            cost = self._cost(spent + uncounted)
            self.account.release(most)
            self.account.settle(spent, cost, uncounted)
            self._changed.notify_all()
        return cost

    def _cost(self, usage: Usage) -> float | None:
        return self.price.cost(usage) if self.price else None

    def _stop_if_hopeless(self, error: ProviderError) -> None:
        if error.stops_run:
            self.stopped = self.stopped or str(error)
            self._asker.stopping.set()

    def _row(
        self, item: Item, answer: CachedAnswer | None, spent: Usage, cost: float | None, *, cached: bool
    ) -> SampleResult:
        """A row without its score: the error stands until there is one."""
        asked, call = item.asked, answer.call if answer else None
        ideal = asked.ideal_answers
        return SampleResult(
            input=asked.prompt,
            output=answer.output if answer else None,
            output_parsed=None,
            output_correct=ideal[0] if len(ideal) == 1 else ideal,
            sample=asked.sample,
            score=None,
            epoch=item.epoch,
            error="not scored: the run ended while the scorer judged it",
            served_model=call.served_model if call else None,
            parameters=call.parameters if call else {},
            prompt_hash=item.prompt_hash,
            finish_reason=call.finish_reason if call else None,
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            cost=cost,
            cached=cached,
        )

    async def _score(self, item: Item, answer: CachedAnswer, row: SampleResult) -> None:
        """Fill in the score. A grader that fails leaves its error: the answer is kept, and graded when resumed."""
        tally, score = Tally(), None

        def judge() -> Score:
            return self.scorer(answer.output, item.asked)

        try:
            score = await self._asker.attempt(judge, tally, self.account.seconds_left)
        except ProviderError as problem:
            row.error, row.error_kind = f"not graded: {problem}", problem.kind
            self._stop_if_hopeless(problem)
        if score is not None:
            row.score, row.output_parsed, row.other_output, row.error = score.value, score.parsed, score.detail, None
            row.error_kind = None
        usage = tally.lost + score.usage if score else tally.lost
        cost = score.cost if score else 0.0
        row.input_tokens += usage.input_tokens
        row.output_tokens += usage.output_tokens
        row.cost = None if row.cost is None or cost is None else row.cost + cost
        self.account.settle(usage, cost)

    async def _record(self, key: str, row: SampleResult) -> None:
        """Returns when the row is on the disk. Rows that come while another is written go together."""
        self._keep(key, row)
        if self._journal is not None:
            self._unwritten.append((key, row))
            async with self._write_lock:
                if self._unwritten:
                    rows, self._unwritten = self._unwritten, []
                    await asyncio.to_thread(self._journal.append, rows)
        self._show()

    def _keep(self, key: str, row: SampleResult) -> None:
        self.rows[key] = row
        self._status.add(row.score, failed=row.error is not None)

    def _show(self, *, last: bool = False) -> None:
        if self.progress is None:
            return
        self._status.cost = self.account.cost
        self.progress.update(self._status, last=last)
        if last and self.stopped:
            self.progress.say(f"stopped: {self.stopped}")


def _times(usage: Usage, count: int) -> Usage:
    return Usage(usage.input_tokens * count, usage.output_tokens * count)


def _up_to(most: Usage, usage: Usage) -> Usage:
    """The difference between `most` and `usage`."""
    return Usage(max(0, most.input_tokens - usage.input_tokens), max(0, most.output_tokens - usage.output_tokens))


def _answer_of(row: SampleResult) -> CachedAnswer:
    """The answer that a row holds."""
    call = Call(served_model=row.served_model or "", parameters=row.parameters, finish_reason=row.finish_reason)
    return CachedAnswer(str(row.output), call)
