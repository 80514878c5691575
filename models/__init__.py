"""Models: the GPT, generation, and the other models of the course.

May import `support/`, `kernels/` and `tokenizer/`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt_from_scratch.models.generation.engine import generate as generate
    from gpt_from_scratch.models.generation.engine import stream as stream
    from gpt_from_scratch.models.generation.sampling import Sampling as Sampling
    from gpt_from_scratch.models.gpt import GPT as GPT
    from gpt_from_scratch.models.gpt import GPTConfig as GPTConfig
else:
    _MODULES = {
        "GPT": "gpt",
        "GPTConfig": "gpt",
        "Sampling": "generation.sampling",
        "generate": "generation.engine",
        "stream": "generation.engine",
    }

    def __getattr__(name: str) -> Any:
        from gpt_from_scratch.support.lazy import public_name

        return public_name(__name__, name, _MODULES)


__all__ = ["GPT", "GPTConfig", "Sampling", "generate", "stream"]
