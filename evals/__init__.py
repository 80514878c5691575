"""Evals: providers, function calling, the runner, and the scoring of our own models.

May import `support/`, `kernels/`, `tokenizer/` and `models/`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt_from_scratch.evals.protocol.limits import Limits as Limits
    from gpt_from_scratch.evals.protocol.samples import QA as QA
    from gpt_from_scratch.evals.protocol.samples import EvalResult as EvalResult
    from gpt_from_scratch.evals.protocol.samples import MCQuestion as MCQuestion
    from gpt_from_scratch.evals.providers.dispatcher import get_model_provider as get_model_provider
    from gpt_from_scratch.evals.runs.run_samples import run_samples as run_samples
else:
    _MODULES = {
        "EvalResult": "protocol.samples",
        "Limits": "protocol.limits",
        "MCQuestion": "protocol.samples",
        "QA": "protocol.samples",
        "get_model_provider": "providers.dispatcher",
        "run_samples": "runs.run_samples",
    }

    def __getattr__(name: str) -> Any:
        from gpt_from_scratch.support.lazy import public_name

        return public_name(__name__, name, _MODULES)


__all__ = ["QA", "EvalResult", "Limits", "MCQuestion", "get_model_provider", "run_samples"]
