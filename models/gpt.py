"""The GPT model: exactly GPT-2 by default, with a few orthogonal switches for more recent architectures.

Parameter names are GPT-2's own (wte, wpe, h.0.attn.c_attn, ...), so that a checkpoint maps to Hugging Face's one to one.
The model calls ops (attention, rms_norm, linear_cross_entropy, and in its layers layer_norm, ...), never a backend.

Shapes: b batch, t tokens, c n_embd, h heads, d head size, v vocabulary.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.ops.linear_cross_entropy import linear_cross_entropy
from gpt_from_scratch.kernels.ops.rms_norm import rms_norm
from gpt_from_scratch.kernels.padding import logits
from gpt_from_scratch.models.config import GPT2_SIZES as GPT2_SIZES
from gpt_from_scratch.models.config import GPTConfig as GPTConfig
from gpt_from_scratch.models.layers.documents import documents_and_positions
from gpt_from_scratch.models.layers.embedding import Embedding
from gpt_from_scratch.models.layers.mlp import MLP
from gpt_from_scratch.models.layers.ngram_embedding import NgramEmbedding
from gpt_from_scratch.models.layers.norm import HeadNorm, Norm
from gpt_from_scratch.models.layers.rotary import rotate
from gpt_from_scratch.models.layers.rotary_table import rotary_table

if TYPE_CHECKING:
    from gpt_from_scratch.models.layers.decoding_cache import Cache


class CausalSelfAttention(nn.Module):
    """Multi-head attention with a packed query-key-value projection; `window`: how many tokens a query sees, None: all."""

    def __init__(self, config: GPTConfig, window: int | None = None) -> None:
        super().__init__()
        self.config, self.window = config, window
        width = (config.n_head + 2 * config.kv_heads) * config.head_size
        self.c_attn = nn.Linear(config.n_embd, width, bias=config.has_qkv_bias)
        self.c_proj = nn.Linear(config.n_head * config.head_size, config.n_embd, bias=config.has_proj_bias)
        # One norm without weights serves queries and keys at once, and needs no module.
        norms = config.qk_norm and (config.qk_norm_weight or config.qk_norm_over == "heads")
        self.ln_q = HeadNorm(config, config.n_head) if norms else None
        self.ln_k = HeadNorm(config, config.kv_heads) if norms else None

    def forward(
        self,
        x: Float[Tensor, "b t c"],
        rotary: Float[Tensor, "2 #b 1 t half"] | None,
        documents: Int[Tensor, "b _"] | None = None,
        cache: "Cache | None" = None,
        layer: int = 0,
    ) -> Float[Tensor, "b t c"]:
        """`rotary` holds the cosines and sines of the tokens' positions; keys and values go through `cache` if given.

        `documents` has the document of each key, those in the cache included; None: all tokens are one.
        """
        q, k, v = self.queries_keys_values(x, rotary)
        attend = attention if cache is None else partial(cache.attend, layer)
        y: Tensor = attend(q, k, v, documents=documents, window=self.window)
        out: Tensor = self.c_proj(y.transpose(1, 2).flatten(2))
        return out

    def queries_keys_values(
        self, x: Float[Tensor, "b t c"], rotary: Float[Tensor, "2 #b 1 t half"] | None
    ) -> tuple[Float[Tensor, "b h t d"], Float[Tensor, "b hkv t d"], Float[Tensor, "b hkv t d"]]:
        """Queries, keys and values: the projections of x, with norms and rotation according to the config."""
        config = self.config
        heads = self.c_attn(x).view(*x.shape[:2], -1, config.head_size).transpose(1, 2)  # (b, h + 2 hkv, t, d)
        turned, v = heads.split([config.n_head + config.kv_heads, config.kv_heads], dim=1)
        if self.ln_q is not None and self.ln_k is not None:
            q, k = turned.split([config.n_head, config.kv_heads], dim=1)
            turned = torch.cat([self.ln_q(q), self.ln_k(k)], dim=1)
        elif config.qk_norm:
            turned = rms_norm(turned, eps=config.qk_norm_eps)
        if rotary is not None:
            turned = rotate(turned, rotary)
        q, k = turned.split([config.n_head, config.kv_heads], dim=1)
        return q, k, v


class Block(nn.Module):
    """Attention and MLP, each added to the residual stream; the addition is fused with the norm that follows it."""

    def __init__(self, config: GPTConfig, window: int | None = None) -> None:
        super().__init__()
        self.norm_place = config.norm_place
        self.ln_1 = Norm(config)
        self.attn = CausalSelfAttention(config, window)
        self.ln_2 = Norm(config)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self,
        normed: Float[Tensor, "b t c"],
        x: Float[Tensor, "b t c"],
        following: Norm | None,
        rotary: Float[Tensor, "2 #b 1 t half"] | None,
        documents: Int[Tensor, "b _"] | None = None,
        cache: "Cache | None" = None,
        layer: int = 0,
    ) -> tuple[Float[Tensor, "b t c"], Float[Tensor, "b t c"]]:
        """(the `following` norm of the stream, the stream) after this block; `normed` is what attention reads.

        `following` is the next block's ln_1, or the model's ln_f. Where the blocks norm what they add instead, `normed` is
        the stream x itself, and only ln_f follows. `rotary`, `documents`, `cache` and `layer` go to the attention.
        """
        branch = self.drop(self.attn(normed, rotary, documents, cache, layer))
        if self.norm_place == "before":
            assert following is not None
            normed, x = self.ln_2.after(branch, x)
            return following.after(self.drop(self.mlp(normed)), x)
        x = x + self.ln_1(branch)
        x = x + self.ln_2(self.drop(self.mlp(x)))
        return (x if following is None else following(x)), x


class GPT(nn.Module):
    """A decoder-only transformer: `model(tokens)` gives logits at all positions, `model(tokens, targets)` the loss.

    `torch.compile(model, fullgraph=True)` needs `kernels.registry.load_backends` first.
    """

    cosines_and_sines: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = Embedding(config.vocab_size, config.n_embd)
        self.wpe = Embedding(config.block_size, config.n_embd) if config.position == "learned" else None
        self.ngrams = (
            NgramEmbedding(config.ngram, config.ngram_buckets, config.vocab_size, config.n_embd)
            if config.ngram > 1
            else None
        )
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, window) for window in config.windows)
        self.ln_f = Norm(config)
        self.lm_head = None if config.tie_head else nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.position == "rotary":
            self.register_buffer(
                "cosines_and_sines",
                rotary_table(config.block_size, config.head_size, config.rope_base, config.rope_scaling),
                persistent=False,
            )
        self.initialize()

    @torch.no_grad()
    def initialize(self) -> None:
        """Initialize the weights as GPT-2 (Radford et al. 2019), or with zeros according to `zero_init`.

        embeddings           normal, standard deviation 0.02;  of n-grams zero: one never met says nothing
        linear weights       normal, 0.02
        ... into the stream  normal, 0.02 / √(2 n_layer), one for each addition;  zero with `zero_init`
        untied head          normal, 0.02;  zero with `zero_init`
        biases               0;  norms: weight 1, bias 0

        On the meta device, where there is no memory, nothing.
        """
        if self.wte.weight.is_meta:
            return
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or name.startswith("ngrams."):
                nn.init.zeros_(parameter)
            elif ".ln_" in name or name.startswith("ln_"):
                nn.init.ones_(parameter)
            elif name.endswith("c_proj.weight") or name == "lm_head.weight":
                inward = name != "lm_head.weight"
                std = 0.0 if self.config.zero_init else 0.02 / math.sqrt(2 * self.config.n_layer) if inward else 0.02
                nn.init.normal_(parameter, std=std)
            else:
                nn.init.normal_(parameter, std=0.02)

    def set_dropout(self, part: float) -> None:
        """Train with this dropout from now on, whatever the config said."""
        self.config = dataclasses.replace(self.config, dropout=part)
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = part

    @property
    def head_weight(self) -> Float[Tensor, "v c"]:
        """The output head's weight: the token embedding's, if tied."""
        return self.wte.weight if self.lm_head is None else self.lm_head.weight

    def num_parameters(self) -> int:
        """Number of parameters; shared ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def hidden(self, tokens: Int[Tensor, "b t"], cache: "Cache | None" = None) -> Float[Tensor, "b t c"]:
        """The last norm's output, which is the head's input.

        Raises:
            ValueError: more tokens than the context holds.
        """
        longest = tokens.shape[1] + (0 if cache is None else cache.longest)
        if longest > self.config.block_size:
            raise ValueError(f"{longest} tokens do not fit the context of {self.config.block_size} (block_size)")
        documents = None
        if cache is not None:
            positions, documents = cache.begin(tokens)
        elif self.config.document_mask:
            documents, positions = documents_and_positions(tokens, self.config.eot_token)
        else:
            positions = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        x = self.wte(tokens)
        if self.ngrams is not None:
            earlier = None if cache is None else cache.before(self.config.ngram - 1)
            x = x + self.ngrams(tokens, earlier, positions if self.config.document_mask else None)
        rotary = None
        if self.wpe is not None:
            x = x + self.wpe(positions)
        else:
            rotary = self.cosines_and_sines[:, positions].unsqueeze(2)
        if torch.is_autocast_enabled(x.device.type):  # the residual stream has the activations' dtype
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x = self.drop(x)
        if rotary is not None:
            rotary = rotary.to(x.dtype)
        blocks: list[Block] = list(self.h)  # type: ignore[arg-type]
        before = self.config.norm_place == "before"
        normed: Tensor = blocks[0].ln_1(x) if before else x
        norms = [block.ln_1 if before else None for block in blocks[1:]] + [self.ln_f]
        for layer, (block, following) in enumerate(zip(blocks, norms, strict=True)):
            # Without a cache the number is unused, and a compiled block that depends on it would be compiled for every
            # layer.
            normed, x = block(normed, x, following, rotary, documents, cache, layer if cache is not None else 0)
        if cache is not None:
            cache.advance(tokens.shape[1])
        return normed

    def forward(
        self,
        tokens: Int[Tensor, "b t"],
        targets: Int[Tensor, "b t"] | None = None,
        *,
        reduction: Literal["mean", "sum", "none"] = "mean",
        cache: "Cache | None" = None,
    ) -> Float[Tensor, "..."]:
        """Logits (b, t, v), or, with `targets`, the loss in nats, without storing all logits.

        Targets of -100 are ignored. `reduction` "none" gives one loss per position, (b, t).
        """
        hidden, softcap = self.hidden(tokens, cache), self.config.logit_softcap
        if targets is None:
            scores: Tensor = logits(hidden, self.head_weight, softcap)
            return scores
        return linear_cross_entropy(hidden, self.head_weight, targets, reduction=reduction, softcap=softcap)

    def with_context(self, context: int) -> "GPT":
        """The same model with a shorter context; its logits are unchanged.

        Raises:
            ValueError: `context` is longer than the model's.
        """
        if context == self.config.block_size:
            return self
        if context > self.config.block_size:
            raise ValueError(f"a context of {context} is more than the model has: {self.config.block_size} tokens")
        weights = self.state_dict()
        if self.wpe is not None:
            weights["wpe.weight"] = weights["wpe.weight"][:context].clone()
        short = GPT(dataclasses.replace(self.config, block_size=context))
        short.load_state_dict(weights)
        return short.train(self.training)

    @classmethod
    def from_pretrained(cls, name: str | Path, warn: Callable[[str], None] | None = None) -> "GPT":
        """Load a folder that `save_pretrained` or transformers wrote, or a GPT-2 by name from the Hugging Face hub.

        Args:
            warn: called if the output head differs from the embedding although the config shares them; None: log a warning.

        Raises:
            FileNotFoundError, ValueError: something is missing, damaged or not supported; names the file and the field.
        """
        from gpt_from_scratch.models.interchange import pretrained

        return pretrained.load(name, cls) if warn is None else pretrained.load(name, cls, warn)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors: GPT-2's format if the architecture is exactly GPT-2's, else our own."""
        from gpt_from_scratch.models.interchange import pretrained

        pretrained.save(self.config, self.state_dict(), Path(folder))
