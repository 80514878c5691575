"""The list of providers, and the look-up that finds exactly one for a model."""

from gpt_from_scratch.evals.protocol.messages import Request, Response
from gpt_from_scratch.evals.protocol.provider import Provider
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.local_checkpoint import PREFIX, LocalCheckpointProvider
from gpt_from_scratch.evals.providers.offline import EchoProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider


class LocalCheckpoints:
    """The models "local/PATH": a provider for each checkpoint, made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, LocalCheckpointProvider] = {}

    def of(self, model_id: str) -> LocalCheckpointProvider:
        """The checkpoint's own provider."""
        return self._made.setdefault(model_id, LocalCheckpointProvider(model_id.removeprefix(PREFIX)))

    def provides_model(self, model_id: str) -> bool:
        return model_id.startswith(PREFIX)

    def execute(self, model_id: str, request: Request) -> Response:
        return self.of(model_id).execute(model_id, request)

    def encode(self, model_id: str, data: str) -> list[int]:
        return self.of(model_id).encode(model_id, data)

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return self.of(model_id).decode(model_id, tokens)


PROVIDERS: list[Provider] = [OpenAIProvider(), AnthropicProvider(), LocalCheckpoints(), EchoProvider()]
"""Append your own: a provider for a server, or one with functions."""


def get_model_provider(model_id: str) -> Provider:
    """The one provider in `PROVIDERS` that has `model_id`.

    Raises:
        ValueError: none has it, or more than one.
    """
    found = [provider for provider in PROVIDERS if provider.provides_model(model_id)]
    if len(found) == 1:
        return found[0].of(model_id) if isinstance(found[0], LocalCheckpoints) else found[0]
    names = ", ".join(_name(provider) for provider in found or PROVIDERS)
    if not found:
        raise ValueError(
            f"no provider has the model {model_id!r}. Asked: {names}. OpenAI's models begin with gpt-, chatgpt- or o and "
            f"a digit, Anthropic's with claude-, a checkpoint of yours with local/; append a provider to "
            f"dispatcher.PROVIDERS for others, give a server with base_url, or run offline with the model 'echo'."
        )
    raise ValueError(f"more than one provider has the model {model_id!r}: {names}. Remove all but one from PROVIDERS.")


def _name(provider: Provider) -> str:
    return getattr(provider, "__name__", type(provider).__name__)


def fingerprint(provider: Provider) -> object:
    """What of a provider decides its answers, beside the prompt: part of the cache's key.

    A provider may say it by a method `fingerprint()` that returns JSON; its class name stands in otherwise.
    """
    own = getattr(provider, "fingerprint", None)
    return own() if own is not None else _name(provider)
