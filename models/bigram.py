"""The model of the bigram course, in stages from a bigram table to a transformer.

It follows Karpathy's lecture "Let's build GPT: from scratch, in code, spelled out" (2023). Each stage adds one part to the
stage before it, so the difference of two losses shows the effect of that part. Parameter names are those of GPT-2 (wte,
wpe, h, c_attn, c_proj, ln_f, lm_head).

Shapes: b batch, t tokens, c n_embd, h heads, d head size, v vocabulary.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm
from gpt_from_scratch.models.generation.sampling import NonFiniteLogitsError
from gpt_from_scratch.models.settings import ADDS as ADDS
from gpt_from_scratch.models.settings import STAGES as STAGES
from gpt_from_scratch.models.settings import BigramConfig as BigramConfig
from gpt_from_scratch.models.settings import Stage as Stage


def has(stage: Stage, part: Stage) -> bool:
    """Whether a model at `stage` has the part that the stage `part` adds."""
    return STAGES.index(stage) >= STAGES.index(part)


class SelfAttention(nn.Module):
    """One head as wide as the residual stream, or several that share its width; a projection is added by the stage
    "residual".
    """

    def __init__(self, config: BigramConfig, stage: Stage) -> None:
        super().__init__()
        self.n_head = config.n_head if has(stage, "multi-head") else 1
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd) if has(stage, "residual") else nn.Identity()

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """softmax(q kᵀ / √d) v, where each token attends to itself and the tokens before it."""
        q, k, v = self.c_attn(x).unflatten(2, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)  # each (b, h, t, d)
        mixed = attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.c_proj(mixed)
        return out


class FeedForward(nn.Module):
    """A linear layer and a ReLU; from the stage "residual" on, four times as wide with a projection back."""

    def __init__(self, config: BigramConfig, stage: Stage) -> None:
        super().__init__()
        width = 4 * config.n_embd if has(stage, "residual") else config.n_embd
        self.c_fc = nn.Linear(config.n_embd, width)
        self.c_proj = nn.Linear(width, config.n_embd) if has(stage, "residual") else nn.Identity()

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """c_proj(relu(c_fc(x))), for each token separately."""
        out: Tensor = self.c_proj(F.relu(self.c_fc(x)))
        return out


class LayerNorm(nn.Module):
    """The parameters of a norm; the arithmetic is the registry's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """The norm of x."""
        return layer_norm(x, self.weight, self.bias)


class Layer(nn.Module):
    """Attention or feed-forward, with the stage's norm before, dropout after, and residual connection."""

    def __init__(self, config: BigramConfig, stage: Stage, inner: SelfAttention | FeedForward) -> None:
        super().__init__()
        self.norm = LayerNorm(config.n_embd) if has(stage, "layernorm") else nn.Identity()
        self.inner = inner
        self.dropout = nn.Dropout(config.dropout) if has(stage, "dropout") else nn.Identity()
        self.residual = has(stage, "residual")

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """x + dropout(inner(norm(x))), or the parts of it that the stage has."""
        out: Tensor = self.dropout(self.inner(self.norm(x)))
        return x + out if self.residual else out


class BigramLanguageModel(nn.Module):
    """Language model: `model(tokens)` gives logits at every position, `model(tokens, targets)` the mean loss in nats."""

    def __init__(self, config: BigramConfig, stage: Stage = STAGES[-1]) -> None:
        super().__init__()
        self.config = config
        bigram = not has(stage, "position")
        self.wte = nn.Embedding(config.vocab_size, config.vocab_size if bigram else config.n_embd)
        self.wpe = None if bigram else nn.Embedding(config.block_size, config.n_embd)
        layers: list[nn.Module] = []
        for _ in range(config.n_layer if has(stage, "blocks") else 1):
            if has(stage, "head"):
                layers.append(Layer(config, stage, SelfAttention(config, stage)))
            if has(stage, "feed-forward"):
                layers.append(Layer(config, stage, FeedForward(config, stage)))
        self.h = nn.Sequential(*layers)
        self.ln_f = LayerNorm(config.n_embd) if has(stage, "layernorm") else nn.Identity()
        self.lm_head = nn.Identity() if bigram else nn.Linear(config.n_embd, config.vocab_size)

    def num_parameters(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def logits(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t v"]:
        """Raises ValueError on more tokens than the context holds."""
        length = tokens.shape[1]
        if length > self.config.block_size:
            raise ValueError(f"{length} tokens do not fit the context of {self.config.block_size} (block_size)")
        x = self.wte(tokens)
        if self.wpe is not None:
            x = x + self.wpe.weight[:length]
        out: Tensor = self.lm_head(self.ln_f(self.h(x)))
        return out

    def forward(
        self, tokens: Int[Tensor, "b t"], targets: Int[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b t v"] | Float[Tensor, ""]:
        """Logits, or with `targets` the mean cross-entropy over all positions."""
        logits = self.logits(tokens)
        return logits if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    @torch.inference_mode()
    def generate(self, tokens: Int[Tensor, "b t"], count: int, generator: torch.Generator) -> Int[Tensor, "b n"]:
        """Extend `tokens` by `count` tokens, each sampled given the last `block_size` tokens.

        The model must be in eval mode for dropout to be off.

        Raises:
            NonFiniteLogitsError: the model has diverged.
        """
        for _ in range(count):
            last = self.logits(tokens[:, -self.config.block_size :])[:, -1]
            if not last.isfinite().all():
                raise NonFiniteLogitsError("the model's logits are not finite: it diverged")
            new = torch.multinomial(torch.softmax(last, dim=1), 1, generator=generator)
            tokens = torch.cat([tokens, new], dim=1)
        return tokens
