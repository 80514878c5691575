"""Training: data, the loop, optimizers, checkpoints and the report; the scripts that users start lie at its top.

May import `support/`, `kernels/`, `tokenizer/`, `models/` and `evals/`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt_from_scratch.training.api import train as train
    from gpt_from_scratch.training.config import TrainConfig as TrainConfig
    from gpt_from_scratch.training.run.presets import PRESETS as PRESETS
else:
    _MODULES = {
        "PRESETS": "run.presets",
        "TrainConfig": "config",
        "train": "api",
    }

    def __getattr__(name: str) -> Any:
        from gpt_from_scratch.support.lazy import public_name

        return public_name(__name__, name, _MODULES)


__all__ = ["PRESETS", "TrainConfig", "train"]
