"""A model and its tokenizer as one GGUF file, which llama.cpp and the programs around it open.

GGUF names architectures, and has GPT-2's, but none with our switches; and it names split patterns instead of holding them.
So this is for exact GPT-2s whose tokenizer splits as GPT-2's does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.storage.files import write_whole
from gpt_from_scratch.tokenizer.formats.gpt2_files import printable_ids, printable_merges
from gpt_from_scratch.tokenizer.formats.hugging_face_folder import as_byte_pairs
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, pattern_text

GGUF_FILE = "model.gguf"
Precision = Literal["f32", "q8_0", "q4_0"]
QUANTIZED_AT_ONCE = 32
"""Weights along a row that share a scale; a row must be so many times something."""
_NAMES = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


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
        name: What the model calls itself.
        licence: An identifier such as "mit"; None: the file names none.
        precision: "f32" keeps every weight as it is. The others round those of the matrices and of the token embedding, to 8
            or 4 bits and a scale for each 32 of a row.

    Raises:
        ValueError: the architecture, the tokenizer or the width is not what the format has.
        RuntimeError: the package gguf is not installed.
    """
    if switches := config.beyond_gpt2():
        raise ValueError(f"GGUF has GPT-2's architecture, and this model is another: {', '.join(switches)}")
    if precision != "f32" and config.n_embd % QUANTIZED_AT_ONCE:
        raise ValueError(
            f"{precision} needs a width (n_embd) that {QUANTIZED_AT_ONCE} divides, it is {config.n_embd}: take f32"
        )
    try:
        import gguf
    except ImportError as error:
        raise RuntimeError(f"GGUF needs the package gguf: {how_to_install('gguf')}") from error
    vocabulary = _vocabulary(tokenizer, config.vocab_size, gguf.TokenType)

    def write(temporary: Path) -> None:
        writer = gguf.GGUFWriter(temporary, "gpt2")
        writer.add_name(name)
        if licence is not None:
            writer.add_license(licence)
        _describe(
            writer, config, gguf.LlamaFileType[f"MOSTLY_{precision.upper()}" if precision != "f32" else "ALL_F32"]
        )
        _add_vocabulary(writer, tokenizer, *vocabulary)
        for ours, tensor in weights.items():
            rounds = precision != "f32" and tensor.ndim == 2 and ours != "wpe.weight"
            kind = gguf.GGMLQuantizationType[precision.upper() if rounds else "F32"]
            writer.add_tensor(_named(ours), _stored(tensor, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    write_whole(path, write)


def _named(ours: str) -> str:
    """The name that GGUF has for a tensor of ours."""
    parts = ours.split(".")
    block = f"blk.{parts[1]}." if parts[0] == "h" else ""
    module, kind = ".".join(parts[2:-1] if block else parts[:-1]), parts[-1]
    return f"{block}{_NAMES[module]}.{kind}"


def _stored(tensor: Float[Tensor, "..."], kind: Any) -> Any:
    from gguf.quants import quantize

    return quantize(tensor.detach().float().cpu().contiguous().numpy(), kind)


def _describe(writer: Any, config: GPTConfig, file_type: Any) -> None:
    writer.add_context_length(config.block_size)
    writer.add_embedding_length(config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(1e-5)
    writer.add_file_type(file_type)


def _vocabulary(tokenizer: Tokenizer, rows: int, kinds: Any) -> tuple[list[str], list[int], list[str]]:
    """Each id's token and kind, and the merges. Ids without a token, which pad a vocabulary, are unused ones."""
    byte_pairs = as_byte_pairs(tokenizer)
    if pattern_text(byte_pairs.pattern) != PATTERNS["gpt2"]:
        raise ValueError(
            f"GGUF names split patterns, and of ours it has GPT-2's alone; this tokenizer's is {byte_pairs.pattern!r}"
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
