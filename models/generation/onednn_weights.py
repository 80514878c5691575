"""Copies of a model's weights in oneDNN's blocked layout, for batched decoding on a CPU.

A product with 3 to 64 rows should take as long as reading the matrix. MKL takes two to three times as long, since it
repacks the matrix each time. It does not with one or two rows, so these use the model itself. In bf16 packing pays with
one row, too.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gpt_from_scratch.kernels.padding import capped
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.models.layers.decoding_cache import Cache
from gpt_from_scratch.models.layers.lora import lora_layers
from gpt_from_scratch.support.devices import multiplies_bf16

FEWEST_ROWS = {torch.float32: 3, torch.bfloat16: 1}
"""Number of rows from which a packed product is faster."""
FEWEST_TOKENS = 16
"""Number of steps after which packing, which takes about ten steps, pays off."""
LEAST_BYTES, MOST_BYTES = 2**26, 2**31
"""Bounds of the model's size: smaller models fit in the CPU cache, and for larger ones the copy needs too much memory."""


class PackedLinear(nn.Module):
    """nn.Linear with packed weights, without gradients."""

    def __init__(self, weight: Float[Tensor, "out c"], bias: Float[Tensor, " out"] | None) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), 16)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b out"]:
        """x weightᵀ + bias."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return out


class PackedGPT:
    """A packed copy of the model for decoding; everything except its matrices is shared."""

    def __init__(self, model: GPT) -> None:
        with torch.device("meta"):
            self.body = GPT(model.config)
        self.body.load_state_dict(model.state_dict(), assign=True)
        for name, buffer in model.named_buffers():
            setattr(self.body, name, buffer)
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear) and module is not model.lm_head:
                self.body.set_submodule(name, PackedLinear(module.weight, module.bias))
        self.head = PackedLinear(model.head_weight, None)

    def logits(self, tokens: Int[Tensor, "b 1"], cache: Cache) -> Float[Tensor, "b v"]:
        """The model's logits for one more token per row."""
        out: Tensor = self.head(self.body.hidden(tokens, cache)[:, -1])
        softcap = self.body.config.logit_softcap
        return out if softcap is None else capped(out, softcap)


def can_pack(model: GPT) -> bool:
    """Whether oneDNN packs weights on this processor, and the model's kind and size make it worthwhile."""
    weight = model.wte.weight
    return (
        weight.device.type == "cpu"
        and not lora_layers(model)
        and (weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and multiplies_bf16(weight.device)))
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
        and LEAST_BYTES <= weight.itemsize * model.num_parameters() <= MOST_BYTES
    )
