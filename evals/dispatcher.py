"""Which provider has a model: the list, and the look-up that accepts exactly one."""

from gpt_from_scratch.evals.provider import Provider
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.offline import EchoProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider

PROVIDERS: list[Provider] = [OpenAIProvider(), AnthropicProvider(), EchoProvider()]
"""Append your own: a provider for a server, or one with functions."""


def get_model_provider(model_id: str) -> Provider:
    """The one provider in `PROVIDERS` that has `model_id`.

    Raises:
        ValueError: none has it, or more than one.
    """
    found = [provider for provider in PROVIDERS if provider.provides_model(model_id)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(_name(provider) for provider in found or PROVIDERS)
    if not found:
        raise ValueError(
            f"no provider has the model {model_id!r}. Asked: {names}. OpenAI's models begin with gpt-, chatgpt- or o and "
            f"a digit, Anthropic's with claude-; append a provider to dispatcher.PROVIDERS for others, give a server "
            f"with base_url, or run offline with the model 'echo'."
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
