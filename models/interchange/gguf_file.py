"""Writer of GGUF files, which hold a model and its tokenizer for llama.cpp and related programs.

GGUF names architectures instead of describing them: GPT-2 and most of the Llama family, but no other combination of our
switches. It names split patterns, too. So only these architectures are supported, with GPT-2's split pattern.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.config import GPTConfig, RopeScaling
from gpt_from_scratch.models.interchange import gpt2_format, llama_format
from gpt_from_scratch.models.layers.rotary_table import frequencies
from gpt_from_scratch.models.settings import Precision as Precision
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.storage.files import write_whole
from gpt_from_scratch.tokenizer.formats.gpt2_files import printable_ids, printable_merges
from gpt_from_scratch.tokenizer.formats.hugging_face_folder import as_byte_pairs
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, pattern_text

GGUF_FILE = "model.gguf"
QUANTIZED_AT_ONCE = 32
"""Number of weights that share a scale; a row's length must be a multiple of it."""
KINDS = ("gpt2", "llama", "qwen2", "qwen3", "olmo2")
"""Supported model types; GGUF uses the same names."""
YARN_TURNS = (1.0, 32.0)
"""llama.cpp's default bounds of rotations for yarn."""


def write_gguf(
    config: GPTConfig,
    weights: Mapping[str, Float[Tensor, "..."]],
    tokenizer: Tokenizer,
    path: Path,
    *,
    name: str,
    licence: str | None = None,
    precision: Precision = "f32",
) -> None:
    """Write the file, atomically.

    Args:
        name: the model's name.
        licence: an identifier such as "mit"; None: no licence in the file.
        precision: "f32" keeps every weight as it is. The others quantize the matrices and the token embedding to 8 or 4
            bits, with a scale for each 32 weights.

    Raises:
        ValueError: the format does not support the architecture, the tokenizer or the width.
        RuntimeError: the package gguf is not installed.
    """
    kind = _kind_of(config)
    if kind not in KINDS:
        raise ValueError(
            f"GGUF has {', '.join(KINDS)}, this model has another architecture: {', '.join(config.beyond_gpt2())}"
        )
    _require_known_rules(config, kind)
    for width, size in {
        "n_embd": config.n_embd,
        "mlp_width": config.mlp_size,
        "n_head · head_dim": _heads(config),
    }.items():
        if precision != "f32" and size % QUANTIZED_AT_ONCE:
            raise ValueError(
                f"{precision} needs a width ({width}) that {QUANTIZED_AT_ONCE} divides, it is {size}: take f32"
            )
    try:
        import gguf
    except ImportError as error:
        raise RuntimeError(f"GGUF needs the package gguf: {how_to_install('gguf')}") from error
    vocabulary = _vocabulary(tokenizer, config.vocab_size, gguf.TokenType)

    def write(temporary: Path) -> None:
        writer = gguf.GGUFWriter(temporary, kind)
        writer.add_name(name)
        if licence is not None:
            writer.add_license(licence)
        _describe(
            writer, config, gguf.LlamaFileType[f"MOSTLY_{precision.upper()}" if precision != "f32" else "ALL_F32"]
        )
        _add_vocabulary(writer, tokenizer, *vocabulary)
        architecture = next(one for one, called in gguf.MODEL_ARCH_NAMES.items() if called == kind)
        names = gguf.get_tensor_name_map(architecture, config.n_layer)
        for theirs, tensor in _tensors(config, weights, kind):
            rounds = precision != "f32" and tensor.ndim == 2 and "wpe" not in theirs
            form = gguf.GGMLQuantizationType[precision.upper() if rounds else "F32"]
            writer.add_tensor(
                names.get_name(theirs, (".weight", ".bias")) or theirs, _stored(tensor, form), raw_dtype=form
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    write_whole(path, write)


def _kind_of(config: GPTConfig) -> str | None:
    """The model type with exactly this architecture; None: there is none."""
    return llama_format.kind_of(config) if config.beyond_gpt2() else "gpt2"


def _heads(config: GPTConfig) -> int:
    return config.n_head * config.head_size


def _tensors(
    config: GPTConfig, weights: Mapping[str, Float[Tensor, "..."]], kind: str
) -> Iterator[tuple[str, Float[Tensor, "..."]]]:
    """The tensors under transformers' names, as llama.cpp computes with them."""
    for ours, tensor in weights.items():
        if kind == "gpt2":
            yield next(iter(gpt2_format.as_theirs(ours, tensor))), tensor  # which are not transposed here
            continue
        for theirs, part in llama_format.as_theirs(ours, tensor, config).items():
            turned = kind == "llama" and (".q_proj." in theirs or ".k_proj." in theirs)
            yield theirs, _neighbours(part, config.head_size) if turned else part
    if kind == "olmo2" and config.tie_head:  # which has no word for a shared head
        yield "lm_head.weight", weights["wte.weight"]
    if config.rope_scaling.kind == "llama3":
        own, plain = (
            frequencies(config.head_size, config.rope_base, scaling) for scaling in (config.rope_scaling, RopeScaling())
        )
        yield "rope_freqs.weight", plain / own


def _neighbours(rows: Float[Tensor, "..."], head_size: int) -> Float[Tensor, "..."]:
    """A projection's rows in the order in which the two of a rotated pair are neighbours; here half a head lies between."""
    return rows.view(-1, 2, head_size // 2, *rows.shape[1:]).transpose(1, 2).flatten(0, 2)


def _require_known_rules(config: GPTConfig, kind: str) -> None:
    """Check for features that GGUF cannot express: some biases, and some scaling of rotary positions.

    Raises:
        ValueError: the model has it.
    """
    scaling = config.rope_scaling
    if kind in ("qwen3", "olmo2") and config.has_qkv_bias:
        raise ValueError(f"GGUF has no biases for {kind}, and this model's attention has some")
    if scaling.kind == "llama3" and kind != "llama":
        raise ValueError(f"GGUF has no llama3 scaling of rotary positions for {kind}")
    usual = (scaling.slow_turns, scaling.fast_turns) == YARN_TURNS and scaling.whole_dimensions
    if scaling.kind == "yarn" and not (usual and math.isclose(scaling.amplitude, 0.1 * math.log(scaling.factor) + 1.0)):
        raise ValueError(
            f"GGUF has yarn with turns from {YARN_TURNS[0]:g} to {YARN_TURNS[1]:g}, whole dimensions and the usual amplitude "
            "only; this model's is another"
        )


def _stored(tensor: Float[Tensor, "..."], kind: Any) -> Any:
    from gguf.quants import quantize

    return quantize(tensor.detach().float().cpu().contiguous().numpy(), kind)


def _describe(writer: Any, config: GPTConfig, file_type: Any) -> None:
    writer.add_context_length(config.block_size)
    writer.add_embedding_length(config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(config.mlp_size)
    writer.add_head_count(config.n_head)
    writer.add_file_type(file_type)
    if config.norm == "layer":
        writer.add_layer_norm_eps(config.norm_eps)
        return
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_vocab_size(config.vocab_size)
    for add in (writer.add_key_length, writer.add_value_length, writer.add_rope_dimension_count):
        add(config.head_size)
    writer.add_rope_freq_base(config.rope_base)
    scaling = config.rope_scaling
    if scaling.kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(_scaling_type(scaling.kind))
        writer.add_rope_scaling_factor(scaling.factor)
    if scaling.kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(scaling.learned_context)


def _scaling_type(kind: str) -> Any:
    """The gguf package's constant of a kind of rotary scaling."""
    from gguf import RopeScalingType

    return RopeScalingType[kind.upper()]


def _vocabulary(tokenizer: Tokenizer, rows: int, kinds: Any) -> tuple[list[str], list[int], list[str]]:
    """Each id's token and kind, and the merges. Ids without a token, which pad a vocabulary, are unused ones."""
    byte_pairs = as_byte_pairs(tokenizer)
    if pattern_text(byte_pairs.pattern) != PATTERNS["gpt2"]:
        raise ValueError(
            f"of our split patterns GGUF supports only GPT-2's; this tokenizer's is {byte_pairs.pattern!r}"
        )
    if byte_pairs.added_tokens:
        raise ValueError(f"GGUF cannot have added tokens, such as {next(iter(byte_pairs.added_tokens))!r}")
    tokens, types = [f"[PAD{index}]" for index in range(rows)], [int(kinds.UNUSED)] * rows
    for token, index in printable_ids(byte_pairs).items():
        tokens[index], types[index] = token, int(kinds.NORMAL)
    for index in byte_pairs.special_tokens.values():
        types[index] = int(kinds.CONTROL)
    return tokens, types, [" ".join(pair) for pair in printable_merges(byte_pairs)]


def _add_vocabulary(writer: Any, tokenizer: Tokenizer, tokens: list[str], types: list[int], merges: list[str]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    try:
        end = tokenizer.eot_token
    except NoEndOfTextError:
        return
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
