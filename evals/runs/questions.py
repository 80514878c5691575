"""The questions of a run, with the keys of their rows and of their cached answers."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from gpt_from_scratch.evals.protocol.limits import Limits
from gpt_from_scratch.evals.protocol.pricing import Price
from gpt_from_scratch.evals.protocol.prompts import Asked, PromptStyle, ask
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import AnySample
from gpt_from_scratch.evals.results.answer_cache import Cache, content_hash
from gpt_from_scratch.support.command_line.settings import AtMost, Many, check_settings


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """The arguments of `run_samples`, which documents them."""

    model: str
    style: PromptStyle
    temperature: float
    max_tokens: Many
    epochs: Many
    max_concurrency: Annotated[int, AtMost(10_000)]
    backoff: Backoff
    limits: Limits
    price: Price | None
    cache: Cache | None
    resume_path: Path | None
    seed: int
    retry_all: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be a number of at least 0, not {self.temperature}")
        for name in ("max_tokens", "epochs", "max_concurrency"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        check_settings(self)


@dataclasses.dataclass(frozen=True)
class Item:
    """A question of the run. `key` is the row's in the record; `cache_key` is of all that decides the answer."""

    asked: Asked
    epoch: int
    key: str
    cache_key: str
    prompt_hash: str


def make_items(samples: Sequence[AnySample], options: RunOptions, fingerprint: object) -> list[Item]:
    """The questions of a run: every sample, once per epoch.

    fingerprint: what of the provider decides its answers

    Raises:
        ValueError: two samples have one id.
    """
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise ValueError(f"two samples have the id {sample.id!r}: ids must be unique")
        seen.add(sample.id)
    items = []
    for sample, epoch in itertools.product(samples, range(options.epochs)):
        asked = ask(sample, options.style, seed=options.seed, epoch=epoch)
        prompt_hash = content_hash(asked.prompt)
        decisive = [fingerprint, options.model, options.temperature, options.max_tokens, prompt_hash, epoch]
        key = content_hash([sample.model_dump(mode="json"), prompt_hash, epoch])
        items.append(Item(asked, epoch, key, content_hash(decisive), prompt_hash))
    return items
