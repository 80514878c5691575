"""The low-rank adaptation of a run: which model it is of, and what a checkpoint saves of it."""

from dataclasses import dataclass

from torch import Tensor

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.models.interchange import peft_format
from gpt_from_scratch.models.interchange.peft_format import Adapter
from gpt_from_scratch.models.layers.lora import add_lora, lora_layers
from gpt_from_scratch.models.settings import LoRAConfig


@dataclass(frozen=True)
class Adaptation:
    """The adaptation of a run."""

    base: str
    """The model that is adapted: a folder, or a name on the hub."""
    kind: str
    """The model type of its folder, which decides how peft names its layers."""
    checksum: str
    """Of its weights: another run of the same name is another base."""
    rank: int
    alpha: float

    def adapter(self, model: GPT) -> Adapter:
        """The adaptation as it is now."""
        tensors = peft_format.tensors_of(model, model.config, self.kind)
        return Adapter(self.base, self.rank, self.alpha, tensors)

    def merged(self, model: GPT) -> dict[str, Tensor]:
        """The weights of a plain GPT that computes the same."""
        return peft_format.merged(model, model.config, self.kind, self.adapter(model))

    def described(self, model: GPT) -> str:
        """peft's adapter_config.json."""
        return peft_format.describe(self.adapter(model), self.kind)


def adapt(model: GPT, base: str, kind: str, checksum: str, settings: LoRAConfig) -> Adaptation:
    """Freeze a model, and give it an adaptation that is yet to learn.

    Raises:
        ValueError: it has no layers of these names.
    """
    add_lora(model, settings.rank, settings.scale, settings.targets)
    return Adaptation(base, kind, checksum, settings.rank, settings.scale)


def put_back(model: GPT, adaptation: Adaptation, tensors: dict[str, Tensor]) -> None:
    """Let a model's adaptation go on from a checkpoint's.

    Raises:
        ValueError: it is of other layers, or of another rank.
    """
    peft_format.put_back(model, model.config, adaptation.kind, tensors)


def trained(model: GPT) -> str:
    """Description of the trained part of an adapted model."""
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    layers = len(lora_layers(model))
    return f"{count:,} of these ({count / model.num_parameters():.2%}), beside {layers} layers, are trained"
