"""Evals: providers, function calling, the runner, and the scoring of our own models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt_from_scratch.evals.dispatcher import get_model_provider as get_model_provider
    from gpt_from_scratch.evals.limits import Limits as Limits
    from gpt_from_scratch.evals.runner import run_samples as run_samples
    from gpt_from_scratch.evals.samples import QA as QA
    from gpt_from_scratch.evals.samples import EvalResult as EvalResult
    from gpt_from_scratch.evals.samples import MCQuestion as MCQuestion
else:
    _MODULES = {
        "EvalResult": "samples",
        "Limits": "limits",
        "MCQuestion": "samples",
        "QA": "samples",
        "get_model_provider": "dispatcher",
        "run_samples": "runner",
    }

    def __getattr__(name: str) -> Any:
        from gpt_from_scratch.support.lazy import public_name

        return public_name(__name__, name, _MODULES)


__all__ = ["QA", "EvalResult", "Limits", "MCQuestion", "get_model_provider", "run_samples"]
