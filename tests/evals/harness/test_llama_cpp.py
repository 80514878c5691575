"""llama.cpp itself opens our GGUF files: equal ids and logits, for GPT-2 and the Llama family."""

import ctypes
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpt_from_scratch.models.config import RopeScaling
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange.gguf_file import Precision, write_gguf
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from tests.tokenizer.texts import SCRIPTS

pytestmark = pytest.mark.llama

TOKENIZER = BytePairEncodingTokenizer.from_text(
    "the robin sang to the fox\n" * 30 + "".join(SCRIPTS), 300, pattern="gpt2"
)
CONTEXT, F32 = 64, 0
LLAMA = GPTConfig(
    block_size=CONTEXT,
    vocab_size=TOKENIZER.n_vocab + 4,
    n_layer=2,
    n_head=4,
    n_embd=64,
    mlp_width=96,
    n_kv_head=2,
    position="rotary",
    norm="rms",
    activation="swiglu",
    bias=False,
)
GPT2 = GPTConfig(CONTEXT, TOKENIZER.n_vocab + 4, n_layer=2, n_head=2, n_embd=64)
NORMED: dict[str, Any] = {"qk_norm": True, "qk_norm_weight": True, "qk_norm_eps": 1e-5}
KINDS = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "llama, biases, wide heads, a head of its own": dataclasses.replace(
        LLAMA, qkv_bias=True, proj_bias=True, mlp_bias=True, head_dim=32, tie_head=False, norm_eps=1e-3, n_kv_head=1
    ),
    "llama linear": dataclasses.replace(LLAMA, rope_base=500.0, rope_scaling=RopeScaling("linear", 2.0)),
    "llama llama3": dataclasses.replace(
        LLAMA, rope_base=500.0, rope_scaling=RopeScaling("llama3", 4.0, learned_context=32)
    ),
    "llama yarn": dataclasses.replace(
        LLAMA,
        rope_base=500.0,
        rope_scaling=RopeScaling("yarn", 4.0, learned_context=16, fast_turns=32.0, amplitude=1.1386294361119891),
    ),
    "qwen2": dataclasses.replace(LLAMA, qkv_bias=True),
    "qwen3": dataclasses.replace(LLAMA, head_dim=32, **NORMED),
    "olmo2": dataclasses.replace(LLAMA, norm_place="after", qk_norm_over="heads", **NORMED),
}


@pytest.fixture(scope="module")
def llama_cpp() -> Iterator[Any]:
    """The module, with its words on standard error kept back."""
    import llama_cpp as module

    quiet = module.llama_log_callback(lambda level, text, data: None)
    module.llama_log_set(quiet, ctypes.c_void_p(0))
    yield module


def make(config: GPTConfig) -> GPT:
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            ones = ".ln_" in name or name.startswith("ln_f")
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if ones and name.endswith("weight") else 0.0))
    return model


def theirs(llama_cpp: Any, path: Path) -> Any:
    """The file, opened with keys and values kept in fp32."""
    settings = {"n_ctx": CONTEXT, "logits_all": True, "verbose": False, "n_threads": 1, "n_gpu_layers": 0}
    return llama_cpp.Llama(str(path), type_k=F32, type_v=F32, flash_attn=False, **settings)


def logits(model: Any, tokens: list[int]) -> torch.Tensor:
    model.reset()
    model.eval(tokens)
    return torch.from_numpy(np.array(model.scores[: len(tokens)]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_equal(kind: str, llama_cpp: Any, tmp_path: Path) -> None:
    model, tokens = make(KINDS[kind]), torch.randint(300, (CONTEXT - 1,), generator=torch.Generator().manual_seed(2))
    write_gguf(model.config, model.state_dict(), TOKENIZER, tmp_path / "model.gguf", name="tiny")
    with torch.no_grad():
        expected = model(tokens.unsqueeze(0))[0]
    found = logits(theirs(llama_cpp, tmp_path / "model.gguf"), tokens.tolist())
    # GELU it takes from a table in half precision.
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3 if kind == "gpt2" else 1e-3)
    assert expected.std() > 0.3


@pytest.mark.parametrize("precision", ["q8_0", "q4_0"])
@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3"])
def test_rounded_weights_move_the_logits_a_little(
    kind: str, precision: Precision, llama_cpp: Any, tmp_path: Path
) -> None:
    """The file is compared with our model whose weights are rounded alike. llama.cpp rounds activations to 8 bits as well."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    model, tokens = make(KINDS[kind]), torch.randint(300, (CONTEXT - 1,), generator=torch.Generator().manual_seed(2))
    write_gguf(model.config, model.state_dict(), TOKENIZER, tmp_path / "model.gguf", name="tiny", precision=precision)
    kept = GGMLQuantizationType[precision.upper()]
    with torch.no_grad():
        exact = model(tokens.unsqueeze(0))[0]
        scale = exact.std()
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and name != "wpe.weight":
                parameter.copy_(torch.from_numpy(dequantize(quantize(parameter.numpy(), kept), kept)))
        expected = model(tokens.unsqueeze(0))[0]
    found = logits(theirs(llama_cpp, tmp_path / "model.gguf"), tokens.tolist())
    assert (found - expected).square().mean().sqrt() < 0.06 * scale
    moved = (exact - expected).square().mean().sqrt() / scale
    assert 0.005 < moved < 0.1 if precision == "q8_0" else 0.2 < moved < 0.8


def test_the_ids_are_equal(llama_cpp: Any, tmp_path: Path) -> None:
    write_gguf(LLAMA, make(LLAMA).state_dict(), TOKENIZER, tmp_path / "model.gguf", name="tiny")
    model = theirs(llama_cpp, tmp_path / "model.gguf")
    for text in (*SCRIPTS, "the robin sang", "  two  blanks\n\n and 12345 lines\t"):
        ids = model.tokenize(text.encode(), add_bos=False, special=False)
        assert ids == TOKENIZER.encode_ordinary(text)
        assert model.detokenize(ids).decode() == text
    assert model.token_eos() == TOKENIZER.eot_token
