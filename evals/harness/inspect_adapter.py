"""Adapter for inspect: our checkpoints as its provider "gpt_from_scratch".

import gpt_from_scratch.evals.harness.inspect_adapter
inspect_ai.eval(task, model="gpt_from_scratch/runs/x")
"""

import asyncio
import logging
import secrets
from typing import Any

from inspect_ai.model import (  # type: ignore[import-not-found, unused-ignore]
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    StopReason,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo  # type: ignore[import-not-found, unused-ignore]

from gpt_from_scratch.evals.providers.shared_engine import SharedEngine
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.generation.sampling import RequestSeeds, Sampling

logger = logging.getLogger(__name__)

HONOURED = ("max_tokens", "temperature", "top_k", "top_p", "seed", "stop_seqs")
INSPECTS_OWN = (
    *("max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections"),
    *("system_message", "max_tool_output", "cache_prompt", "fail_on_refusal", "reasoning_history", "cache", "batch"),
    *("parallel_tool_calls", "internal_tools"),
)
"""Settings that inspect sees to itself, or that are of tools, which are refused."""

ANSWER = 256
"""Default maximum number of tokens of an answer; smaller for a short context."""


@modelapi("gpt_from_scratch")
class GPTFromScratchAPI(ModelAPI):  # type: ignore[misc, unused-ignore]
    """A checkpoint as an inspect model. It is a base model: a conversation is its messages' texts, joined by an empty line.

    Samples that inspect runs at the same time are generated as one batch; `max_connections` says how many. A prompt that
    leaves no room for the answer loses its beginning, with a warning; settings that generation here does not have are
    named in one, once.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (inspect's own signature)
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        device, tokenizer = model_args.pop("device", "auto"), model_args.pop("tokenizer", None)
        if model_args:
            raise ValueError(f"unknown model argument {next(iter(model_args))!r}; there are device and tokenizer")
        self.checkpoint = open_model(model_name, device=device, tokenizer=tokenizer)
        self._engine = SharedEngine(self.checkpoint)
        self._named: set[str] = set()
        self._seeds: dict[int, RequestSeeds] = {}

    def max_connections(self) -> int:
        return 32

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """One completion.

        Raises:
            ValueError: tools, which a base model does not have, or a prompt that cannot be encoded.
        """
        if tools:
            raise ValueError(f"{self.model_name} is a base model and calls no tools")
        self._name_what_is_ignored(config)
        prompt, length = self._fitted("\n\n".join(message.text for message in input), config.max_tokens)
        sampling = Sampling(
            temperature=1.0 if config.temperature is None else config.temperature,
            top_k=config.top_k or None,
            top_p=config.top_p,
            seed=self._seed(config, prompt),
        )
        stops = tuple(config.stop_seqs or ())
        done = await asyncio.to_thread(self._engine.complete, prompt, length, sampling, stops)
        shortened = config.max_tokens is not None and length < config.max_tokens
        reason: StopReason = "stop" if done.finish == "stop" else "model_length" if shortened else "max_tokens"
        output = ModelOutput.from_content(self.model_name, done.text, reason)
        output.usage = ModelUsage(
            input_tokens=len(prompt), output_tokens=done.tokens, total_tokens=len(prompt) + done.tokens
        )
        return output

    def _fitted(self, text: str, max_tokens: int | None) -> tuple[list[int], int]:
        """The prompt's tokens and the length of the answer, which both fit the context: a quarter of it is the least for
        the prompt, and for an answer whose length is not given.
        """
        tokenizer, context = self.checkpoint.tokenizer, self.checkpoint.context
        prompt = tokenizer.encode_ordinary(text) or [tokenizer.eot_token]
        wanted = min(ANSWER, max(context // 4, context - len(prompt))) if max_tokens is None else max_tokens
        kept = prompt[-max(context - wanted, context // 4, 1) :]
        if len(kept) < len(prompt):
            logger.warning(
                "a prompt of %d tokens loses its first %d: it and an answer of %d do not fit the context of %d that %s has",
                *(len(prompt), len(prompt) - len(kept), wanted, context, self.model_name),
            )
        return kept, min(wanted, max(1, context - len(kept)))

    def _name_what_is_ignored(self, config: GenerateConfig) -> None:
        known = (*HONOURED, *INSPECTS_OWN)
        given = {name for name, value in config.model_dump(exclude_none=True).items() if name not in known and value}
        if new := sorted(given - self._named):
            self._named |= given
            logger.warning("%s has no %s: these settings are ignored", self.model_name, ", ".join(new))

    def _seed(self, config: GenerateConfig, prompt: list[int]) -> int:
        """One that was asked for is the eval's: a prompt that comes again, as in another epoch, gets a text of its own."""
        if config.seed is None:
            return secrets.randbits(48)
        return self._seeds.setdefault(config.seed, RequestSeeds(config.seed)).next(repr(prompt))
