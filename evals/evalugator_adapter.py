"""Adapter for the optional package `evalugator`, whose requests, samples and results have the same fields.

    from gpt_from_scratch.evals import evalugator_adapter

    evalugator_adapter.register(OpenAIFunctionCallingProvider([tokenize]))  # now evalugator's own evals can ask it

evalugator is not on PyPI and pins old versions, so nothing here needs it until it is called.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from gpt_from_scratch.evals.protocol import messages, samples
from gpt_from_scratch.evals.protocol.messages import Request, Response
from gpt_from_scratch.evals.protocol.provider import Provider, ProviderError


def _theirs(module: str) -> Any:
    try:
        return importlib.import_module(f"evalugator.{module}")
    except ImportError as error:
        raise RuntimeError(
            f"evalugator.{module} cannot be imported ({error}). evalugator is not on PyPI: install it from its repository, "
            f"in an environment of its own if its pinned versions clash with yours."
        ) from error


def to_evalugator(value: Any) -> Any:
    """Our `Message`, request, response, sample or result as evalugator's class of the same name.

    Fields that evalugator lacks are left out. A row without an answer becomes an empty one with the score NaN, since
    evalugator has no rows with errors.
    """
    module = "api.requests" if dataclasses.is_dataclass(value) else "structs"
    return _convert(value, _class_in(_theirs(module), value), to_evalugator)


def from_evalugator(value: Any) -> Any:
    """evalugator's `Message`, request, response, sample or result as ours."""
    return _convert(value, _class_in(messages if dataclasses.is_dataclass(value) else samples, value), from_evalugator)


def register(provider: Provider) -> None:
    """Append one of our providers to evalugator's `PROVIDERS`."""
    _theirs("api.dispatcher").PROVIDERS.append(ForEvalugator(provider))


class ForEvalugator:
    """One of our providers as one of evalugator's: takes its requests and answers with its responses."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def provides_model(self, model_id: str) -> bool:
        return self._provider.provides_model(model_id)

    def execute(self, model_id: str, request: Any) -> Any:
        response = to_evalugator(self._provider.execute(model_id, from_evalugator(request)))
        response.request = request  # the very one: evalugator hands it back to whoever asked
        return response

    def encode(self, model_id: str, data: str) -> list[int]:
        return self._provider.encode(model_id, data)

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return self._provider.decode(model_id, tokens)


class FromEvalugator:
    """One of evalugator's providers (a module, a class or an instance) as one of ours, for `run_samples`."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def fingerprint(self) -> str:
        return f"evalugator {getattr(self._provider, '__name__', type(self._provider).__name__)}"

    def provides_model(self, model_id: str) -> bool:
        return bool(self._provider.provides_model(model_id))

    def execute(self, model_id: str, request: Request) -> Response:
        theirs = self._provider.execute(model_id, to_evalugator(request))
        if getattr(theirs, "error", None):  # forks answer a refused request so
            raise ProviderError(str(theirs.error))
        response: Response = from_evalugator(theirs)
        response.request = request
        return response

    def encode(self, model_id: str, data: str) -> list[int]:
        return list(self._provider.encode(model_id, data))

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return str(self._provider.decode(model_id, tokens))


def _class_in(module: Any, value: Any) -> Any:
    name = type(value).__name__
    if not hasattr(module, name):
        raise TypeError(f"{module.__name__} has no counterpart of {name}")
    return getattr(module, name)


def _convert(value: Any, target: Any, convert_inner: Callable[[Any], Any]) -> Any:
    """`value` as an instance of `target`, field by field."""
    if not dataclasses.is_dataclass(value):
        data = {name: field for name, field in value.model_dump().items() if name in target.model_fields}
        if data.get("score", 0.0) is None:
            data |= {"score": float("nan"), "output": data["output"] or ""}
        return target.model_validate(data)
    names = {field.name for field in dataclasses.fields(target)} - {"call"}  # our account is no business of theirs
    fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
    if "prompt" in fields:
        fields["prompt"] = [convert_inner(message) for message in fields["prompt"]]
    if "request" in fields:
        fields["request"] = convert_inner(fields["request"])
    return target(**fields)
