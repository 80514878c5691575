"""Our checkpoints in inspect, as the provider "gpt_from_scratch".

import gpt_from_scratch.evals.harness.inspect_adapter
inspect_ai.eval(task, model="gpt_from_scratch/runs/x")
"""

import asyncio
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

from gpt_from_scratch.evals.lm.checkpoint import load_checkpoint
from gpt_from_scratch.evals.providers.shared_engine import SharedEngine
from gpt_from_scratch.models.generation import Sampling


@modelapi("gpt_from_scratch")
class GPTFromScratchAPI(ModelAPI):  # type: ignore[misc, unused-ignore]
    """A checkpoint as an inspect model. It is a base model: a conversation is its messages' texts, joined by an empty line.

    Samples that inspect runs at the same time are generated as one batch; `max_connections` says how many.
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
        self.checkpoint = load_checkpoint(model_name, device=device, tokenizer=tokenizer)
        self._engine = SharedEngine(self.checkpoint)

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
        tokenizer = self.checkpoint.tokenizer
        prompt = tokenizer.encode_ordinary("\n\n".join(message.text for message in input)) or [tokenizer.eot_token]
        sampling = Sampling(
            temperature=1.0 if config.temperature is None else config.temperature,
            top_k=config.top_k,
            top_p=config.top_p,
            seed=secrets.randbits(48) if config.seed is None else config.seed,
        )
        length = 256 if config.max_tokens is None else config.max_tokens
        stops = tuple(config.stop_seqs or ())
        done = await asyncio.to_thread(self._engine.complete, prompt, length, sampling, stops)
        reason: StopReason = "stop" if done.finish == "stop" else "max_tokens"
        output = ModelOutput.from_content(self.model_name, done.text, reason)
        output.usage = ModelUsage(
            input_tokens=len(prompt), output_tokens=done.tokens, total_tokens=len(prompt) + done.tokens
        )
        return output
