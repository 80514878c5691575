"""Low-rank adaptation of a run: its base model, and what a checkpoint saves of it."""

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
    """Checksum of the base's weights: another run of the same name is another base."""
    rank: int
    alpha: float

    def adapter(self, model: GPT) -> Adapter:
        """The current matrices."""
        tensors = peft_format.tensors_of(model, model.config, self.kind)
        return Adapter(self.base, self.rank, self.alpha, tensors)

    def merged(self, model: GPT) -> dict[str, Tensor]:
        """The weights of a plain GPT that computes the same function, with the adaptation added."""
        return peft_format.merged(model, model.config, self.kind, self.adapter(model))

    def described(self, model: GPT) -> str:
        """peft's adapter_config.json."""
        return peft_format.describe(self.adapter(model), self.kind)


def adapt(model: GPT, base: str, kind: str, checksum: str, settings: LoRAConfig) -> Adaptation:
    """Freeze a model, and add an untrained adaptation.

    Raises:
        ValueError: the model has no layers of these names.
    """
    add_lora(model, settings.rank, settings.scale, settings.targets)
    return Adaptation(base, kind, checksum, settings.rank, settings.scale)


def put_back(model: GPT, adaptation: Adaptation, tensors: dict[str, Tensor]) -> None:
    """Load a checkpoint's adaptation into a model.

    Raises:
        ValueError: the tensors are of other layers, or of another rank.
    """
    peft_format.put_back(model, model.config, adaptation.kind, tensors)


def trained(model: GPT) -> str:
    """Description of the trained part of an adapted model."""
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    layers = len(lora_layers(model))
    return f"{count:,} of these ({count / model.num_parameters():.2%}), beside {layers} layers, are trained"
