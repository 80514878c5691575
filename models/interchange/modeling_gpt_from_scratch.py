"""The GPT that these weights belong to, for `AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)`.

This file and that of the settings are in the folder of the weights, and need only torch and transformers 5. The model is
GPT-2 with switches, each of which `config.json` names: rotary positions and their scaling, RMSNorm, norms of queries and
keys, squared ReLU or SwiGLU, grouped queries, biases here and there, an output head of its own, embeddings of the last
tokens together, layers that see a window, documents that do not see each other, and a bound of the logits.

Shapes: b batch, t tokens, k tokens with those in the cache, c n_embd, h heads, d head size, v vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DynamicCache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_gpt_from_scratch import (  # noqa: TID252 (as transformers wants it)
    CACHE,
    GPTFromScratchConfig,
    documents_and_positions,
    rotary_table,
    visible_keys,
)

GOLDEN = -7046029254386353131  # 2^64 / φ as a signed number: Fibonacci hashing (Knuth, vol. 3, section 6.4)
BYTES = 4  # in which a token's number is kept beside the values of layer 0: each is exact in every type


class Norm(nn.Module):
    """LayerNorm or RMSNorm over the stream's width."""

    def __init__(self, config: GPTFromScratchConfig) -> None:
        super().__init__()
        self.kind, self.eps, self.width = config.norm, config.norm_eps, config.n_embd
        has_bias = config.bias and config.norm_weight and config.norm == "layer"
        self.weight = nn.Parameter(torch.ones(config.n_embd)) if config.norm_weight else None
        self.bias = nn.Parameter(torch.zeros(config.n_embd)) if has_bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, c) of (b, t, c)."""
        if self.kind == "rms":
            return rms_norm(x, self.eps, self.weight)
        out: Tensor = F.layer_norm(x, (self.width,), self.weight, self.bias, self.eps)
        return out


class HeadNorm(nn.Module):
    """RMSNorm of queries or keys: of each head by itself, or of all together."""

    def __init__(self, config: GPTFromScratchConfig, heads: int) -> None:
        super().__init__()
        self.eps, self.together = config.qk_norm_eps, config.qk_norm_over == "heads"
        width = config.head_size * (heads if self.together else 1)
        self.weight = nn.Parameter(torch.ones(width)) if config.qk_norm_weight else None

    def forward(self, x: Tensor) -> Tensor:
        """(b, h, t, d) of (b, h, t, d)."""
        if not self.together:
            return rms_norm(x, self.eps, self.weight)
        flat: Tensor = rms_norm(x.transpose(1, 2).flatten(2), self.eps, self.weight)
        out: Tensor = flat.view(x.shape[0], -1, x.shape[1], x.shape[3]).transpose(1, 2)
        return out


class NgramEmbedding(nn.Module):
    """The sum of one vector for each of the last 2, 3, ..., n tokens together, looked up by hash."""

    def __init__(self, config: GPTFromScratchConfig) -> None:
        super().__init__()
        self.radix, self.buckets = int(config.vocab_size) + 1, int(config.ngram_buckets)
        self.tables = nn.ModuleList(
            nn.Embedding(config.ngram_buckets, config.n_embd) for _ in range(2, config.ngram + 1)
        )

    def forward(self, known: Tensor, positions: Tensor | None) -> Tensor:
        """(b, t, c) of (b, n - 1 + t) token numbers plus one, of which the first n - 1 came before; 0 is no token.

        `positions` (b, t) in a document, before which none looks back; None: all is one.
        """
        before = len(self.tables)
        t = known.shape[1] - before
        code = known[:, before:]
        total = torch.zeros((), device=known.device)
        for back, table in enumerate(self.tables, start=1):
            factor = (self.radix**back + 2**63) % 2**64 - 2**63  # as 64-bit arithmetic has it
            earlier = known[:, before - back : before - back + t]
            code = code + (earlier if positions is None else earlier * (positions >= back)) * factor
            total = total + table(self.bucket(code, back + 1))
        return total

    def bucket(self, code: Tensor, n: int) -> Tensor:
        """Which row of the table; each n-gram has its own where there is room for all of them."""
        if self.radix**n <= self.buckets:
            return code
        row: Tensor = ((code * GOLDEN) >> 32 & 0x7FFFFFFF) % self.buckets
        return row


class Attention(nn.Module):
    """Causal attention with a packed query-key-value projection."""

    def __init__(self, config: GPTFromScratchConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.kv_heads, self.head_size = config.n_head, config.num_key_value_heads, config.head_size
        width = (self.heads + 2 * self.kv_heads) * self.head_size
        self.c_attn = nn.Linear(config.n_embd, width, bias=config.has_bias("qkv"))
        self.c_proj = nn.Linear(self.heads * self.head_size, config.n_embd, bias=config.has_bias("proj"))
        self.ln_q = HeadNorm(config, self.heads) if config.qk_norm else None
        self.ln_k = HeadNorm(config, self.kv_heads) if config.qk_norm else None

    def forward(
        self, x: Tensor, rotary: Tensor | None, visible: Tensor | None, cache: Any, spelled: Tensor | None
    ) -> Tensor:
        """`visible` (b, 1, t, k) says which keys each query sees, None: all before it; `spelled` is kept in the cache."""
        parts = self.c_attn(x).view(*x.shape[:2], -1, self.head_size).transpose(1, 2)  # (b, h + 2 hkv, t, d)
        q, k, v = parts.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
        if self.ln_q is not None and self.ln_k is not None:
            q, k = self.ln_q(q), self.ln_k(k)
        if rotary is not None:
            q, k = rotate(q, rotary), rotate(k, rotary)
        if cache is not None:
            start = int(cache.get_seq_length(self.layer))
            end = start + x.shape[1]
            if spelled is not None:
                v = torch.cat([v, spelled.to(v.dtype).expand(-1, self.kv_heads, -1, -1)], dim=-1)
            places = torch.arange(
                start, end, device=x.device
            )  # which only the first releases of transformers 5 ask for
            k, v = cache.update(k, v, self.layer, {"cache_position": places})
            k, v = k[:, :, :end], v[:, :, :end, : self.head_size]  # a static cache has room behind the tokens
        causal = visible is None and x.shape[1] > 1
        y = F.scaled_dot_product_attention(q, k, v, visible, is_causal=causal, enable_gqa=self.heads != self.kv_heads)
        out: Tensor = self.c_proj(y.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Module):
    """Two linear layers around the activation; with a gate the first makes the gate, then what passes through it."""

    def __init__(self, config: GPTFromScratchConfig) -> None:
        super().__init__()
        self.activation, width = config.activation, config.intermediate_size
        rows = 2 * width if config.activation == "swiglu" else width
        self.c_fc = nn.Linear(config.n_embd, rows, bias=config.has_bias("mlp"))
        self.c_proj = nn.Linear(width, config.n_embd, bias=config.has_bias("mlp"))

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, c) of (b, t, c)."""
        hidden = self.c_fc(x)
        if self.activation == "swiglu":
            gate, passing = hidden.chunk(2, dim=-1)
            hidden = F.silu(gate) * passing
        else:
            hidden = F.gelu(hidden, approximate="tanh") if self.activation == "gelu" else F.relu(hidden).square()
        out: Tensor = self.c_proj(hidden)
        return out


class Block(nn.Module):
    """Attention and MLP, each added to the residual stream."""

    def __init__(self, config: GPTFromScratchConfig, layer: int) -> None:
        super().__init__()
        self.norm_place = config.norm_place
        self.ln_1, self.ln_2 = Norm(config), Norm(config)
        self.attn, self.mlp = Attention(config, layer), MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, rotary: Tensor | None, visible: Tensor | None, cache: Any, spelled: Tensor | None
    ) -> Tensor:
        """The stream (b, t, c) after this block; the others go to the attention."""
        if self.norm_place == "after":
            x = x + self.ln_1(self.drop(self.attn(x, rotary, visible, cache, spelled)))
            return x + self.ln_2(self.drop(self.mlp(x)))  # type: ignore[no-any-return]
        x = x + self.drop(self.attn(self.ln_1(x), rotary, visible, cache, spelled))
        return x + self.drop(self.mlp(self.ln_2(x)))  # type: ignore[no-any-return]


class GPTFromScratchForCausalLM(PreTrainedModel, GenerationMixin):
    """The model with its output head. The names of its weights are GPT-2's, without a prefix."""

    config_class = GPTFromScratchConfig
    _no_split_modules = ["Block"]  # noqa: RUF012
    _supports_sdpa = True
    _tied_weights_keys = {"lm_head.weight": "wte.weight"}  # noqa: RUF012

    def __init__(self, config: GPTFromScratchConfig) -> None:
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd) if config.position == "learned" else None
        self.ngrams = NgramEmbedding(config) if config.ngram > 1 else None
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = Norm(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding."""
        return self.wte

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token embedding."""
        self.wte = value

    def get_output_embeddings(self) -> nn.Linear:
        """The output head."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the output head."""
        self.lm_head = new_embeddings

    @staticmethod
    def create_masks_for_generate(attention_mask: Tensor | None = None, **_: Any) -> Tensor | None:
        """The mask as it is, (b, k): `forward` makes the causal one of it, whichever cache there is."""
        return attention_mask

    def forward(
        self,
        input_ids: Tensor,
        cache: Any = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast | tuple[Any, ...]:
        """Logits (b, t, v) of tokens (b, t), and the loss where there are `labels`, which are shifted here.

        Args:
            cache: The keys and values of the tokens before these (`past_key_values` is its older name).
            attention_mask: 0 at padding, else 1, (b, k); positions are counted without the padding, and where
                the config has documents from each one's beginning, whatever `position_ids` say.
            logits_to_keep: Give the logits of so many last positions only; 0: of all.

        Raises:
            ValueError: more tokens than the context holds, or a mask of another shape.
        """
        cache = past_key_values if cache is None else cache
        if cache is None and (self.config.use_cache and not self.training if use_cache is None else use_cache):
            cache = DynamicCache()
        t, past = input_ids.shape[1], 0 if cache is None else int(cache.get_seq_length())
        if attention_mask is not None:
            if attention_mask.shape != (input_ids.shape[0], past + t):
                wanted, got = (input_ids.shape[0], past + t), tuple(attention_mask.shape)
                raise ValueError(f"attention_mask has the shape {got}, expected {wanted}: 0 at padding, else 1")
            attention_mask = None if bool(attention_mask.bool().all()) else attention_mask.bool()
        if position_ids is None:
            position_ids = torch.arange(past, past + t, device=input_ids.device).unsqueeze(0)
            if attention_mask is not None:
                position_ids = (attention_mask.long().cumsum(1) - 1).clamp(min=0)[:, past:]
        if int(position_ids.max()) >= self.config.block_size:
            longest = int(position_ids.max()) + 1
            raise ValueError(f"{longest} tokens do not fit the context of {self.config.block_size} (block_size)")
        x = self.wte(input_ids)
        spelled = documents = None
        if self.ngrams is not None or self.config.document_mask:
            known = input_ids + 1 if attention_mask is None else (input_ids + 1) * attention_mask[:, past:]
            spelled = spell(known)
        if self.config.document_mask:
            every = torch.cat([self.tokens_before(known, cache, past, past), known], dim=1)
            documents, inside = documents_and_positions(every == self.config.eot_token + 1, attention_mask)
            position_ids = inside[:, past:]
        if self.ngrams is not None:
            before = self.tokens_before(known, cache, past, self.config.ngram - 1)
            x = x + self.ngrams(torch.cat([before, known], dim=1), None if documents is None else position_ids).to(
                x.dtype
            )
        rotary = None
        if self.wpe is not None:
            x = x + self.wpe(position_ids)
        else:
            scaling = tuple(sorted((self.config.rotary_scaling or {"kind": "none"}).items()))
            rotary = rotary_table(
                self.config.block_size, self.config.head_size, x.device, self.config.rope_base, scaling
            )
            rotary = rotary[:, position_ids].unsqueeze(2).to(x.dtype)
        x = self.drop(x)
        windows = self.config.windows
        visible = {w: visible_keys(t, past, attention_mask, documents, w, x.device) for w in set(windows)}
        streams: list[Tensor] = []
        for block, window in zip(self.h, windows, strict=True):
            if output_hidden_states:
                streams.append(x)
            x = block(x, rotary, visible[window], cache, spelled)
            spelled = None  # layer 0 keeps it
        hidden = self.ln_f(x)
        logits = self.lm_head(hidden[:, -logits_to_keep:] if logits_to_keep else hidden)
        if (cap := self.config.logit_softcap) is not None:
            logits = (cap * torch.tanh(logits.float() / cap)).to(logits.dtype)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        output = CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            hidden_states=(*streams, hidden) if output_hidden_states else None,
            **{CACHE: cache},
        )
        return output.to_tuple() if return_dict is False else output

    def tokens_before(self, known: Tensor, cache: Any, past: int, count: int) -> Tensor:
        """The numbers plus one (b, count) of the tokens before `known`, 0 where there is none.

        They lie in the cache behind layer 0's values, so that whatever reorders, cuts or repeats it does so with them.

        Raises:
            ValueError: the cache keeps its values in another form, such as quantized.
        """
        if not past:
            return known.new_zeros(known.shape[0], count)
        values = cache.layers[0].values
        if values.dim() != 4 or values.shape[2] < past or values.shape[3] != self.config.head_size + BYTES:
            raise ValueError(
                f"a {type(cache).__name__} cannot keep what this model needs of earlier tokens: use another"
            )
        last = values[:, 0, max(0, past - count) : past, self.config.head_size :].to(known.device, torch.int64)
        return F.pad((last << 8 * torch.arange(BYTES, device=known.device)).sum(-1), (count - last.shape[1], 0))


def spell(known: Tensor) -> Tensor:
    """The numbers (b, t) as their bytes, (b, 1, t, BYTES)."""
    return (known.unsqueeze(-1) >> 8 * torch.arange(BYTES, device=known.device) & 255).unsqueeze(1)


def rms_norm(x: Tensor, eps: float, weight: Tensor | None) -> Tensor:
    """x / sqrt(mean(x²) + eps) over the last dimension, in fp32 inside, times the weight."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return (normed if weight is None else normed * weight).to(x.dtype)


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Rotate the pairs (x[i], x[i + d/2]) of (b, h, t, d) by their positions' angles (Su et al. 2021)."""
    first, second = x.chunk(2, dim=-1)
    cosine, sine = rotary
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
