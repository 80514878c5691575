"""Registry of providers, and the look-up of a model's provider.

Every file `NAME_provider.py` of this folder declares a `PROVIDER`. Beside the protocol's methods it may say more about itself:
`names` (the models that it has, in words), `example` (one of them), `offline` (it needs no network), and `of(model_id)` (the
provider of one model, where each has its own).
"""

import importlib

from gpt_from_scratch.evals import providers
from gpt_from_scratch.evals.protocol.provider import Provider, name_of
from gpt_from_scratch.support.registry_folder import names_in


def _found() -> list[Provider]:
    """The providers that the files declare.

    Raises:
        TypeError: a file declares none.
    """
    found = []
    for name in names_in(providers):
        if name.endswith("_provider"):
            module = importlib.import_module(f"{providers.__name__}.{name}")
            provider = getattr(module, "PROVIDER", None)
            if not isinstance(provider, Provider):
                raise TypeError(f"{module.__file__} must define PROVIDER, a provider of models")
            found.append(provider)
    return found


PROVIDERS: list[Provider] = _found()
"""Append your own, such as a provider of a server, or one with functions."""


def get_model_provider(model_id: str) -> Provider:
    """The one provider in `PROVIDERS` that has `model_id`.

    Raises:
        ValueError: none has it, or more than one.
    """
    found = [provider for provider in PROVIDERS if provider.provides_model(model_id)]
    if len(found) == 1:
        of = getattr(found[0], "of", None)
        made: Provider = found[0] if of is None else of(model_id)
        return made
    if not found:
        raise ValueError(
            f"no provider has the model {model_id!r}. The models are: {', '.join(_said('names'))}. For others give a server "
            f"with base_url, or append a provider to dispatcher.PROVIDERS; or run offline with the model 'echo'."
        )
    names = ", ".join(map(name_of, found))
    raise ValueError(f"more than one provider has the model {model_id!r}: {names}. Remove all but one from PROVIDERS.")


def examples() -> str:
    """A model of each provider, for --help."""
    offline = _said("example", offline=True)
    return f"{', '.join(_said('example', offline=False))}, ...; offline: {', '.join([*offline, 'oracle'])}"


def _said(attribute: str, offline: bool | None = None) -> list[str]:
    """A descriptive attribute of all providers; by default the name."""
    chosen = [one for one in PROVIDERS if offline is None or getattr(one, "offline", False) == offline]
    return [getattr(one, attribute, None) or name_of(one) for one in chosen]
