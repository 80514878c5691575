"""Contenders of benchmarks/cpu/cpu_steps.py: each holds a model with the weights of one folder, and takes steps."""

import dataclasses
import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.benchmarks.common.machine import product_rate
from gpt_from_scratch.benchmarks.cpu.own_steps import own_trainer, random_stream, rows_of, train_step
from gpt_from_scratch.benchmarks.cpu.plain_gpt import PlainGPT
from gpt_from_scratch.benchmarks.cpu.plain_modern import PlainModern, PlainMuon
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.run.presets import PRESETS

CLIP = 1.0
RATE = 1e-5
"""All learning rates: the batch is always the same, and once it is known by heart a product may meet numbers below 1e-38,
with which processors are slow."""

KINDS: dict[str, tuple[str, ...]] = {
    "products": ("aten::mm", "aten::addmm"),
    "attention": ("aten::_scaled_dot_product",),
    "products of Muon": ("aten::bmm", "aten::baddbmm"),
    "AdamW": ("aten::_fused_adamw_",),
}
"""Operations by what they are for, by how their names begin; all others are "the rest"."""


def by_kind(step: Callable[[], object], count: int = 1) -> dict[str, float]:
    """Seconds a call in operations of each kind, by torch's profiler, which itself takes a little."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        for _ in range(count):
            step()
    seconds = dict.fromkeys([*KINDS, "the rest"], 0.0)
    for event in found.key_averages():
        kind = next((kind for kind, names in KINDS.items() if event.key.startswith(names)), "the rest")
        seconds[kind] += event.self_cpu_time_total / 1e6 / count
    return seconds


class Stepping:
    """`steps` takes training steps, each on the same tokens: forward, backward, clipping, optimizer, zero_grad."""

    step: Callable[[], Float[Tensor, ""] | float]

    def profile(self, count: int = 1) -> dict[str, float]:
        """`by_kind` of the steps."""
        return by_kind(self.step, count)

    def steps(self, count: int = 1) -> dict[str, float]:
        """Seconds a step, and the loss before the first in nats per token."""
        start = time.perf_counter()
        losses = [self.step() for _ in range(count)]
        return {"seconds": (time.perf_counter() - start) / count, "loss": float(losses[0])}


class Ours(Stepping):
    """The training loop's own step."""

    def __init__(self, folder: str, batch: int, preset: str, compiles: bool) -> None:
        config = PRESETS[preset][1]
        slow = dataclasses.replace(config.optimizer, lr=RATE, embed_lr=RATE, muon_lr=RATE)
        config = dataclasses.replace(config, batch_size=batch, compile=compiles, optimizer=slow)
        self.trainer = own_trainer(config, GPT.from_pretrained(folder))

    def step(self) -> float:
        """As `torchrun training/train_gpt2.py PRESET --backend torch` takes it, with --compile or --no-compile."""
        return train_step(self.trainer)


class Outside(Stepping):
    """A plain training loop around another library's module."""

    def __init__(
        self, module: nn.Module, batch: int, ours: GPT, optimizers: list[torch.optim.Optimizer], compiles: bool = False
    ) -> None:
        self.module, self.optimizers = module.train(), optimizers
        self.call: Any = torch.compile(module) if compiles else module
        length = ours.config.block_size
        self.tokens, self.targets = rows_of(random_stream(ours.config.vocab_size, batch, length), length)

    def loss(self) -> Float[Tensor, ""]:
        """The mean loss."""
        loss: Tensor = self.call(self.tokens, self.targets)
        return loss

    def step(self) -> Float[Tensor, ""]:
        """One step."""
        loss = self.loss()
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), CLIP)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.detach()


class Plain(Outside):
    """Plain PyTorch: nn.Linear, nn.LayerNorm, SDPA, F.cross_entropy on whole logits, torch.optim.AdamW."""

    def __init__(self, folder: str, batch: int, fused: bool | None, compiles: bool) -> None:
        ours = GPT.from_pretrained(folder)
        module = PlainGPT(*sizes(ours))
        module.load_state_dict(plain_names(ours.state_dict()))
        super().__init__(module, batch, ours, [torch.optim.AdamW(module.parameters(), lr=RATE, fused=fused)], compiles)


class Modern(Outside):
    """The modern architecture in plain PyTorch: Muon over each matrix of the blocks in turn, AdamW for the rest."""

    def __init__(self, folder: str, batch: int, compiles: bool) -> None:
        ours = GPT.from_pretrained(folder)
        module = PlainModern(*sizes(ours))
        module.load_state_dict(plain_names(ours.state_dict()))
        matrices = [p for name, p in module.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
        taken = set(map(id, matrices))
        rest = [p for p in module.parameters() if id(p) not in taken]
        optimizers = [torch.optim.AdamW(rest, lr=RATE, fused=True), PlainMuon(matrices, lr=RATE)]
        super().__init__(module, batch, ours, optimizers, compiles)


class Transformers(Outside):
    """Hugging Face's GPT2LMHeadModel with SDPA, and the AdamW that its Trainer takes by default."""

    def __init__(self, folder: str, batch: int) -> None:
        from transformers import GPT2LMHeadModel

        module = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32)
        ours = GPT.from_pretrained(folder)
        super().__init__(module, batch, ours, [torch.optim.AdamW(module.parameters(), lr=RATE, fused=True)])

    def loss(self) -> Float[Tensor, ""]:
        """On our targets, which are shifted already."""
        given = {"labels": self.targets, "shift_labels": self.targets, "use_cache": False}
        loss: Tensor = self.call(input_ids=self.tokens, **given).loss
        return loss


class LitGPT(Outside):
    """litgpt's GPT made a GPT-2 without position embeddings (it has none; they are zero in the shared weights)."""

    def __init__(self, folder: str, batch: int) -> None:
        from litgpt.config import Config
        from litgpt.model import GPT as LitModel
        from litgpt.utils import chunked_cross_entropy

        ours = GPT.from_pretrained(folder)
        c = ours.config
        module = LitModel(
            Config(
                name="gpt2",
                block_size=c.block_size,
                vocab_size=c.vocab_size,
                padded_vocab_size=c.vocab_size,
                n_layer=c.n_layer,
                n_head=c.n_head,
                n_embd=c.n_embd,
                intermediate_size=4 * c.n_embd,
                rotary_percentage=0.0,
                parallel_residual=False,
                bias=True,
                norm_class_name="LayerNorm",
                mlp_class_name="GptNeoxMLP",
                gelu_approximate="tanh",
            )
        )
        module.load_state_dict(litgpt_names(ours.state_dict()))
        module.lm_head.weight = module.transformer.wte.weight
        self.cross_entropy = chunked_cross_entropy
        super().__init__(module, batch, ours, [torch.optim.AdamW(module.parameters(), lr=RATE, fused=True)])

    def loss(self) -> Float[Tensor, ""]:
        """litgpt's own loss, in chunks."""
        loss: Tensor = self.cross_entropy(self.call(self.tokens), self.targets)
        return loss


class Products:
    """The machine's own rate of matrix products."""

    def rate(self, rows: int, inner: int, columns: int, seconds: float) -> float:
        """FLOP/s."""
        return product_rate(rows, inner, columns, seconds)


def sizes(model: GPT) -> tuple[int, int, int, int, int]:
    """Sizes of the plain models."""
    c = model.config
    return c.vocab_size, c.block_size, c.n_layer, c.n_head, c.n_embd


def renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """A state dict with parts of its names replaced."""
    result = {}
    for name, tensor in state.items():
        for old, new in names.items():
            name = name.replace(old, new)
        result[name] = tensor
    return result


def plain_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names as PlainGPT's and PlainModern's."""
    inside = {"attn.c_attn": "c_attn", "attn.c_proj": "attn_proj", "mlp.c_fc": "c_fc", "mlp.c_proj": "mlp_proj"}
    return renamed(state, {**inside, "h.": "blocks."})


def litgpt_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names as litgpt's, the tied head given twice."""
    inside = {"ln_1": "norm_1", "ln_2": "norm_2", "c_attn": "qkv", "c_fc": "fc", "c_proj": "proj"}
    body = {f"transformer.{name}": tensor for name, tensor in renamed(state, inside).items() if name != "wpe.weight"}
    return {**body, "lm_head.weight": state["wte.weight"]}


@dataclass(frozen=True)
class Contender:
    """A contender: its class, and arguments besides folder and batch."""

    kind: type[Stepping]
    arguments: dict[str, Any] = field(default_factory=dict)
    package: str | None = None
    """Without which it cannot take part."""

    @property
    def compiles(self) -> bool:
        """Whether its first step includes torch.compile."""
        return bool(self.arguments.get("compiles"))

    def why_not(self) -> str | None:
        """Why it cannot take part here."""
        if self.package is None or importlib.util.find_spec(self.package) is not None:
            return None
        return f"{self.package} is not installed"


CONTENDERS: dict[str, dict[str, Contender]] = {
    "gpt2-124m": {
        "ours": Contender(Ours, {"preset": "gpt2-124m", "compiles": False}),
        "transformers": Contender(Transformers, package="transformers"),
        "plain PyTorch": Contender(Plain, {"fused": None, "compiles": False}),
        "plain, fused AdamW": Contender(Plain, {"fused": True, "compiles": False}),
        "plain, fused AdamW, compiled": Contender(Plain, {"fused": True, "compiles": True}),
        "litgpt": Contender(LitGPT, package="litgpt"),
        "ours, compiled": Contender(Ours, {"preset": "gpt2-124m", "compiles": True}),
    },
    "tiny": {
        "ours": Contender(Ours, {"preset": "tiny", "compiles": False}),
        "ours, compiled": Contender(Ours, {"preset": "tiny", "compiles": True}),
        "plain PyTorch": Contender(Modern, {"compiles": False}),
        "plain, compiled": Contender(Modern, {"compiles": True}),
    },
}
"""By preset; in the order in which they start. Where memory is short, the last ones are left out."""


def make_weights(folder: Path, preset: str, smoke: bool) -> GPT:
    """Write the weights that all contenders begin with. They are such that the loss says whether two compute the same."""
    config = PRESETS[preset][1]
    vocab_size = config.data.vocab_size if config.data.tokenizer == "bpe" else config.model.vocab_size
    # Zero projections would hide the blocks from the loss.
    architecture = dataclasses.replace(config.model, vocab_size=vocab_size, zero_init=False)
    if smoke:
        architecture = dataclasses.replace(architecture, block_size=16, vocab_size=97, n_layer=1, n_head=2, n_embd=32)
    torch.manual_seed(0)
    model = GPT(architecture)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms too: initially they are 0 and 1
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
        if model.wpe is not None:
            model.wpe.weight.zero_()
    model.save_pretrained(folder)
    return model
