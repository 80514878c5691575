"""Calls to a provider: in a thread, with retries and the cache."""

import asyncio
import collections
import concurrent.futures
import dataclasses
import random
from collections.abc import Callable
from typing import Any, TypeVar

from gpt_from_scratch.evals.protocol.messages import Call, GetTextRequest, Prompt, Usage
from gpt_from_scratch.evals.protocol.pricing import estimated_tokens
from gpt_from_scratch.evals.protocol.provider import Provider, ProviderError
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.results.answer_cache import Cache, CachedAnswer

T = TypeVar("T")


@dataclasses.dataclass
class Tally:
    """Account of one row: failed tries, and what they used.

    uncounted: tries that may have been charged, while the server said nothing that can be read
    """

    retries: int = 0
    lost: Usage = dataclasses.field(default_factory=Usage)
    uncounted: int = 0


class Asker:
    """Calls that may fail, `max_concurrency` at once.

    `stopping` ends all waits: what is in flight is finished, nothing is tried again.
    """

    def __init__(self, max_concurrency: int, backoff: Backoff, seed: int) -> None:
        self.backoff = backoff
        self.retries: collections.Counter[str] = collections.Counter()
        self.stopping = asyncio.Event()
        self._rng = random.Random(seed)
        self._threads = concurrent.futures.ThreadPoolExecutor(max_concurrency, thread_name_prefix="evals")

    async def attempt(
        self,
        call: Callable[[], T],
        tally: Tally,
        seconds_left: Callable[[], float],
        has_room: Callable[[Tally], bool] = lambda tally: True,
    ) -> T:
        """The result of `call`, tried again while it raises a `ProviderError` that another try can cure.

        has_room: whether the limits allow another try after those of the tally

        Raises:
            ProviderError: the last one.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._threads, call)
            except ProviderError as error:
                tally.lost += error.usage
                tally.uncounted += error.uncounted
                delay = self.backoff.delay(error, tally.retries, self._rng)
                if delay is None or delay >= seconds_left() or self.stopping.is_set() or not has_room(tally):
                    raise
                tally.retries += 1
                self.retries[error.kind] += 1
                await self._pause(delay)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def ask_provider(
    provider: Provider, model: str, request: GetTextRequest, cache: Cache | None, cache_key: str
) -> CachedAnswer:
    """One call of the provider, kept in the cache. Raises ProviderError."""
    response: Any = provider.execute(model, request)
    if getattr(response, "error", None):  # forks of evalugator answer a refused request so
        raise ProviderError(str(response.error))
    if not isinstance(getattr(response, "txt", None), str):
        raise TypeError(f"{type(provider).__name__} answered a request for text with a {type(response).__name__}")
    given = getattr(response, "call", None)
    if given is None:  # a provider of evalugator's keeps no account
        sent = {"temperature": request.temperature, "max_tokens": request.max_tokens}
        given = Call(served_model=getattr(response, "model_id", model), parameters=sent)
    if not all(type(count) is int and count >= 0 for count in dataclasses.astuple(given.usage)):
        given = dataclasses.replace(given, usage=Usage(), counted=False)
    if error := _set_apart(model, request, response.txt, given):
        error.usage, error.uncounted = given.usage, not given.counted
        raise error
    answer = CachedAnswer(response.txt, given)
    if cache is not None:
        cache.put(cache_key, answer)
    return answer


FILTERED = ("content_filter", "refusal")
"""Finish reasons of content filters, by OpenAI and by Anthropic."""
CUT = ("length", "max_tokens", "model_context_window_exceeded")


def _set_apart(model: str, request: GetTextRequest, text: str, call: Call) -> ProviderError | None:
    """The reason why an answer must not be scored (a filter, no text); None if it can be scored."""
    if call.finish_reason in FILTERED:
        shown = f" after {text[:100]!r}" if text else ""
        return ProviderError(
            f"a content filter cut the answer of {model}{shown} ({call.finish_reason})",
            permanent=True,
            kind="content filter",
        )
    if not text and call.finish_reason in CUT:
        return ProviderError(
            f"{model} used up max_tokens={request.max_tokens} before it wrote any text: reasoning models need thousands",
            permanent=True,
            kind="cut off",
        )
    return None


def most_usage(prompt: Prompt, max_tokens: int) -> Usage:
    """The most that an answer can use: no token is shorter than a byte, and a few frame each message."""
    return Usage(sum(len(message.content.encode("utf-8", "replace")) + 16 for message in prompt), max_tokens)


def expected_usage(prompt: Prompt, max_tokens: int) -> Usage:
    """About what a prompt has, and the most that is written."""
    return Usage(sum(estimated_tokens(message.content) + 4 for message in prompt), max_tokens)
