"""Generate text with a trained model.

    gpt generate runs/NAME                                    # a run: its newest complete checkpoint
    gpt generate runs/NAME/checkpoints/step-00000500 --num 5
    gpt generate FOLDER --prompt "One sunny Monday," --temperature 0.5

FOLDER holds a model in Hugging Face's format and its tokenizer, as every checkpoint's model/ does. A text ends with the
end-of-text token or after --max-tokens. Control characters in a text are printed as escapes, since model output is
untrusted.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gpt_from_scratch.models.settings import check_sampling
from gpt_from_scratch.support.command_line.arguments import a_text, settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.settings import Many, check_settings
from gpt_from_scratch.support.visible import visible

OPTIONS = {"num": "num", "max_new_tokens": "max-tokens"}
"""Fields that must be at least 1, and their options."""


@dataclass(frozen=True)
class GenerateConfig:
    """Settings of `gpt generate`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer"""
    ema: bool = False
    """use the moving average of the weights, from a run with --optimizer.ema-decay"""
    prompt: str = ""
    """the beginning of every text; default: texts begin as the training texts do"""
    num: Many = 3
    """number of texts, with the seeds seed, seed + 1, ..."""
    max_new_tokens: Annotated[Many, tyro.conf.arg(name="max-tokens", aliases=["--max-new-tokens"])] = 300
    """maximum number of tokens after the prompt"""
    temperature: float = 0.8
    """divides the logits: 0 always takes the most likely token, 1 is the model's own distribution"""
    top_k: int | None = None
    """sample only from the k most likely tokens"""
    top_p: float | None = 0.95
    """sample from the smallest set of most likely tokens whose total probability reaches p"""
    seed: int = 0
    """random seed; the same seed gives the same texts"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """"auto" is the accelerator if there is one"""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """of weights and activations; "auto" is bf16 where the device multiplies it natively. A seed's text depends on it"""
    backend: str | None = None
    """kernel backend: one for all ops, or one per op ("attention=torch,..."). Default: GPT_BACKEND, else the device's
    preference. On a CPU that is the reference; "torch" is faster
    """

    def __post_init__(self) -> None:
        check_settings(self)
        a_text(self.prompt)
        for name in OPTIONS:
            if getattr(self, name) < 1:
                raise ValueError(f"--{OPTIONS[name]} is {getattr(self, name)}: at least 1 is needed")
        check_sampling(self.temperature, self.top_k, self.top_p)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run it."""

    def warn(message: str) -> None:
        print(visible(f"generate: warning: {message}"), file=sys.stderr)

    config = settings(GenerateConfig, arguments, prog="gpt generate", description=__doc__)
    imported("gpt generate", "gpt_from_scratch.training.generate:run")(config, warn)
