"""Samples of a model during training, each judged by the grammar and compared with the training text."""

from collections.abc import Callable
from typing import NamedTuple

from gpt_from_scratch.models.generation.engine import stream
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError
from gpt_from_scratch.training.data.corpus import Corpus


class Sample(NamedTuple):
    """A text that the model generated after `prompt`; `grammatical` and `novel` are None if unknown."""

    text: str
    prompt: str
    grammatical: bool | None = None
    novel: bool | None = None


def draw_samples(
    model: GPT,
    corpus: Corpus,
    count: int,
    *,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Sample]:
    """Draw `count` samples, each with its own seed. Returns no samples if `should_stop` is true."""
    try:
        stops: tuple[int, ...] = (corpus.tokenizer.eot_token,)
    except NoEndOfTextError:
        stops = ()
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed * 10_000, stop_tokens=stops)
    max_tokens = min(max_tokens, model.config.block_size - len(corpus.prompt)) if corpus.stories else max_tokens
    rows: list[list[int]] = [[] for _ in range(count)]
    for new in stream(model, [corpus.prompt] * count, max_tokens, sampling, n_vocab=corpus.tokenizer.n_vocab):
        if should_stop():
            return []
        if new.token not in stops:
            rows[new.row].append(new.token)
    whole_prompt = "" if set(corpus.prompt) & set(stops) else corpus.tokenizer.decode(corpus.prompt)
    return [_judged(corpus, corpus.tokenizer.decode(row), whole_prompt) for row in rows]


def _judged(corpus: Corpus, text: str, prompt: str) -> Sample:
    verdict = corpus.judge(text)
    return Sample(text, prompt) if verdict is None else Sample(text, prompt, *verdict)
