"""Adapter for lm-evaluation-harness: our checkpoints as its model "gpt_from_scratch", in its process.

Importing this module registers the model "gpt_from_scratch":

    import gpt_from_scratch.evals.harness.lm_eval_adapter
    lm_eval.simple_evaluate(model="gpt_from_scratch", model_args="checkpoint=runs/x", tasks=["hellaswag"])
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lm_eval.api.instance import Instance  # type: ignore[import-not-found, unused-ignore]
from lm_eval.api.model import TemplateLM  # type: ignore[import-not-found, unused-ignore]
from lm_eval.api.registry import register_model  # type: ignore[import-not-found, unused-ignore]
from lm_eval.models.utils import normalize_gen_kwargs  # type: ignore[import-not-found, unused-ignore]

from gpt_from_scratch.evals.scoring.bits_per_byte import rolling
from gpt_from_scratch.evals.scoring.completion import complete
from gpt_from_scratch.evals.scoring.loglikelihood import BATCH_TOKENS, Continuation, encode_pair, loglikelihoods
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.models.generation.sampling import RequestSeeds, Sampling

CERTAIN = 0.0, True
"""The score of an empty continuation."""

NEUTRAL: dict[str, tuple[object, ...]] = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "n": (1,),
    "best_of": (1,),
    "repetition_penalty": (1,),
    "encoder_repetition_penalty": (1,),
    "no_repeat_ngram_size": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "diversity_penalty": (0,),
    "penalty_alpha": (0,),
    "min_p": (0,),
    "typical_p": (1,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "min_new_tokens": (0,),
    "min_tokens": (0,),
    "min_length": (0,),
    "bad_words_ids": ([],),
    "suppress_tokens": ([],),
    "logit_bias": ({},),
}
"""Values of settings that we do not have, with which they change nothing."""

BY_THE_WAY = ("use_cache", "length_penalty", "early_stopping", "pad_token_id", "skip_special_tokens")
"""Settings that cannot change what is generated here: of beams, of padding, of speed."""


@register_model("gpt_from_scratch")
class GPTFromScratchLM(TemplateLM):  # type: ignore[misc, unused-ignore]
    """A checkpoint as an lm-eval model: log-likelihoods, rolling log-likelihoods and generation, all of them batched.

    checkpoint: what `open_model` opens, or one that is open already
    batch_tokens: tokens a forward pass, padding included; lm-eval's own batch_size, a number of rows, is not used
    """

    def __init__(
        self,
        checkpoint: str | OpenedModel,
        *,
        device: str | None = None,
        tokenizer: str | None = None,
        batch_tokens: int = BATCH_TOKENS,
        max_gen_toks: int = 256,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(checkpoint, str):
            checkpoint = open_model(checkpoint, device=device or "auto", tokenizer=tokenizer)
        self.checkpoint = checkpoint
        self.batch_tokens, self.max_gen_toks = int(batch_tokens), int(max_gen_toks)

    @property
    def eot_token_id(self) -> int:
        return self.checkpoint.tokenizer.eot_token

    @property
    def max_length(self) -> int:
        """The context, in tokens."""
        return self.checkpoint.context

    @property
    def tokenizer_name(self) -> str:
        """Name of the tokenizer in lm-eval's cache of requests."""
        return self.checkpoint.tokenizer.fingerprint

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        return self.checkpoint.tokenizer.encode_ordinary(string)

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        pair = encode_pair(self.checkpoint.tokenizer, context, continuation)
        return list(pair.context), list(pair.continuation)

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Each continuation's log-likelihood, and whether the model would say it; an empty one is certain."""
        scores = iter(super().loglikelihood([request for request in requests if request.args[1]], disable_tqdm=True))
        return [next(scores) if request.args[1] else CERTAIN for request in requests]

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        pairs = [Continuation(tuple(context), tuple(own)) for _, context, own in requests if own]
        scores = loglikelihoods(self.checkpoint.model, pairs, batch_tokens=self.batch_tokens)
        scored = iter([(score.logprob, score.greedy) for score in scores])
        answers = [next(scored) if own else CERTAIN for _, _, own in requests]
        for (text, _, _), answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", text, answer)
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Each text's log-likelihood after an end-of-text token, in windows of the context's size."""
        tokenizer, size = self.checkpoint.tokenizer, self.max_length
        texts = [request.args[0] for request in requests]
        windows = [rolling((tokenizer.eot_token, *tokenizer.encode_ordinary(text)), size, size) for text in texts]
        flat = [window for some in windows for window in some]
        scores = iter(loglikelihoods(self.checkpoint.model, flat, batch_tokens=self.batch_tokens))
        totals = [math.fsum(next(scores).logprob for _ in some) for some in windows]
        for text, total in zip(texts, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), total)
        return totals

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Text up to a stop sequence, all requests in one batch.

        A context keeps its last tokens where it and what is generated do not both fit the model's. A request that samples
        has a seed of its own, of its context, its settings and how often it came before: repeats differ, and the same call
        gives the same texts.

        Raises:
            ValueError: a setting of the task that this cannot honour.
        """
        seeds = RequestSeeds()
        settings = [self._settings(request.args[1]) for request in requests]
        done = complete(
            self.checkpoint,
            [self._prompt(request.args[0], length) for request, (_, _, length) in zip(requests, settings, strict=True)],
            max_tokens=[length for _, _, length in settings],
            sampling=[
                replace(sampling, seed=seeds.next(repr((request.args[0], sampling, stops, length))))
                for request, (sampling, stops, length) in zip(requests, settings, strict=True)
            ],
            stops=[stops for _, stops, _ in settings],
        )
        for request, one in zip(requests, done, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, one.text)
        return [one.text for one in done]

    def _prompt(self, text: str, length: int) -> list[int]:
        tokens = self.tok_encode(text) or [self.eot_token_id]
        return tokens[-max(1, self.max_length - length) :]

    def _settings(self, task: dict[str, Any]) -> tuple[Sampling, tuple[str, ...], int]:
        given = {name: value for name, value in task.items() if value is not None}
        wanted = dict(normalize_gen_kwargs(given, self.max_gen_toks))
        sampled = wanted.pop("do_sample", False)
        stops = tuple(stop for stop in wanted.pop("until") if stop)
        if not all(isinstance(stop, str) for stop in stops):
            raise ValueError(f"the task's until is {list(stops)}, expected texts")
        length = int(wanted.pop("max_gen_toks"))
        temperature = float(wanted.pop("temperature", 1.0))
        sampling = Sampling(temperature=temperature if sampled else 0.0)
        if (top_k := int(wanted.pop("top_k", 0))) > 0:  # 0 and -1 are how others write "all"
            sampling = replace(sampling, top_k=top_k)
        if "top_p" in wanted:
            sampling = replace(sampling, top_p=float(wanted.pop("top_p")))
        if unknown := [f"{name}={value!r}" for name, value in wanted.items() if not _changes_nothing(name, value)]:
            raise ValueError(f"the task asks for {', '.join(unknown)}, which generation here does not have")
        return sampling, stops, length


def _changes_nothing(name: str, value: object) -> bool:
    return name in BY_THE_WAY or value in NEUTRAL.get(name, ())
