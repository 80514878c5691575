"""Provider for a local checkpoint: generated text, and probabilities of the next token, free of charge."""

import functools
import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt_from_scratch.evals.protocol.messages import (
    Call,
    GetProbsResponse,
    GetTextResponse,
    Prompt,
    Request,
    Response,
    TextOptions,
    Usage,
    asks_for_probs,
)
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.tokenizer.chat.encoding import encode, stop_tokens
from gpt_from_scratch.tokenizer.chat.template import template_of

if TYPE_CHECKING:
    from gpt_from_scratch.evals.providers.shared_engine import SharedEngine
    from gpt_from_scratch.models.checkpoints.opening import OpenedModel
    from gpt_from_scratch.models.generation.sampling import RequestSeeds
    from gpt_from_scratch.tokenizer.protocol import Tokenizer

PREFIX = "local/"


class LocalCheckpointProvider:
    """The model "local/PATH". Loaded when it is first asked; requests of several threads are generated as one batch.

    A model whose tokenizer has a chat template is asked with it. A base model knows no roles: a conversation is its messages'
    contents, joined by an empty line.

    path: what `open_model` opens: a model's folder, a checkpoint, or a run; or a checkpoint that is open already
    seed: the same prompts give the same answers, also where the temperature is above 0; a prompt that is asked again
        gets another answer
    """

    def __init__(self, path: "str | Path | OpenedModel", *, device: str = "auto", seed: int = 0) -> None:
        self._path, self._device, self._seed = path, device, seed
        name = path if isinstance(path, str | Path) else path.name
        self.model_id = f"{PREFIX}{name}"
        self._lock = threading.Lock()

    def provides_model(self, model_id: str) -> bool:
        return model_id == self.model_id

    @functools.cached_property
    def checkpoint(self) -> "OpenedModel":
        """The model and its tokenizer. Raises what `open_model` does."""
        from gpt_from_scratch.models.checkpoints.opening import open_model

        if isinstance(self._path, str | Path):
            return open_model(self._path, device=self._device)
        return self._path

    @functools.cached_property
    def _engine(self) -> "SharedEngine":
        from gpt_from_scratch.evals.providers.shared_engine import SharedEngine

        return SharedEngine(self.checkpoint)

    @functools.cached_property
    def _seeds(self) -> "RequestSeeds":
        from gpt_from_scratch.models.generation.sampling import RequestSeeds

        return RequestSeeds(self._seed)

    def fingerprint(self) -> dict[str, Any]:
        """The weights and the tokenizer, by hash: a path may hold another model tomorrow."""
        import torch

        digest = hashlib.sha256()
        for name, tensor in self.checkpoint.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().data)
        tokenizer = self.checkpoint.tokenizer.fingerprint
        return {"provider": "local", "weights": digest.hexdigest(), "tokenizer": tokenizer, "seed": self._seed}

    def execute(self, model_id: str, request: Request) -> Response:
        """Text, or for a request for probabilities the `min_top_n` most likely next tokens."""
        from gpt_from_scratch.models.generation.sampling import Sampling

        with self._lock:  # so that only one thread loads the model
            engine, seeds, tokenizer = self._engine, self._seeds, self.checkpoint.tokenizer
        text = prompt_text(request.prompt)
        try:
            tokens, stops = _prompt_tokens(tokenizer, request.prompt)
        except ValueError as error:  # a character that the tokenizer does not have: this prompt fails, not the run
            raise ProviderError(f"the prompt cannot be encoded: {error}", permanent=True, kind="unsendable") from error
        options = TextOptions.of(request)
        temperature = 1.0 if options.temperature is None else options.temperature
        if asks_for_probs(request):
            top = engine.likeliest(tokens, request.min_top_n)  # type: ignore[attr-defined]
            probs: dict[str, float] = {}
            for token, probability in top:  # several tokens may have one text
                probs[tokenizer.decode([token])] = probs.get(tokenizer.decode([token]), 0.0) + probability
            return GetProbsResponse(
                model_id=model_id,
                request=request,
                raw_responses=[top],
                context=request.context,
                call=self._call({"top": len(top)}, Usage(len(tokens), 1), "length"),
                probs=probs,
            )
        length = 256 if options.max_tokens is None else options.max_tokens
        sampling = Sampling(temperature=temperature, seed=seeds.next(text), stop_tokens=stops)
        done = engine.complete(tokens, length, sampling)
        parameters = {"temperature": temperature, "max_tokens": length}
        return GetTextResponse(
            model_id=model_id,
            request=request,
            raw_responses=[done],
            context=request.context,
            call=self._call(parameters, Usage(len(tokens), done.tokens), done.finish),
            txt=done.text,
        )

    def encode(self, model_id: str, data: str) -> list[int]:
        return self.checkpoint.tokenizer.encode_ordinary(data)

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return self.checkpoint.tokenizer.decode(tokens)

    def _call(self, parameters: dict[str, Any], usage: Usage, finish: str) -> Call:
        name = f"{PREFIX}{self.checkpoint.name}"
        return Call(served_model=name, parameters=parameters, usage=usage, finish_reason=finish)


def _prompt_tokens(tokenizer: "Tokenizer", prompt: Prompt) -> tuple[list[int], tuple[int, ...]]:
    """What the model goes on from, and the tokens that end its answer.

    Raises:
        ValueError: the text cannot be encoded, or the chat template refuses it.
    """
    if template_of(tokenizer) is None:
        return tokenizer.encode_ordinary(prompt_text(prompt)) or [tokenizer.eot_token], (tokenizer.eot_token,)
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    return [tokenizer.eot_token, *encode(tokenizer, messages, asks=True).tokens], stop_tokens(tokenizer)


def prompt_text(prompt: Prompt) -> str:
    """A conversation as text for a base model; evalugator's rule for completion models."""
    return "\n\n".join(message.content for message in prompt)
