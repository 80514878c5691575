"""A GGUF file opens elsewhere with equal logits and ids; here by transformers, which reads the format by itself."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.models.config import RopeScaling
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange.gguf_file import Precision, write_gguf
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.training.commands.export import main
from tests.tokenizer.texts import SCRIPTS

pytestmark = pytest.mark.harness

TOKENIZER = BytePairEncodingTokenizer.from_text(
    "the robin sang to the fox\n" * 30 + "".join(SCRIPTS), 300, pattern="gpt2"
)


SWIGLU: dict[str, Any] = {"position": "rotary", "norm": "rms", "activation": "swiglu", "bias": False}
QWEN3: dict[str, Any] = {"qk_norm": True, "qk_norm_weight": True, "qk_norm_eps": 1e-5}


@pytest.fixture
def model() -> GPT:
    """Of GPT-2's context, since transformers takes every GPT-2 in a GGUF for one of that."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=1024, vocab_size=TOKENIZER.n_vocab + 4, n_layer=2, n_head=2, n_embd=64)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("precision, near", [("f32", 1e-4), ("q8_0", 0.05), ("q4_0", 1.0)])
def test_the_logits_are_equal(model: GPT, tmp_path: Path, precision: Precision, near: float) -> None:
    from transformers import AutoModelForCausalLM

    write_gguf(
        model.config,
        model.state_dict(),
        TOKENIZER,
        tmp_path / "model.gguf",
        name="tiny",
        licence="mit",
        precision=precision,
    )
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf").eval()
    tokens = torch.randint(300, (2, 24))
    with torch.no_grad():
        ours, found = model(tokens), theirs(tokens).logits
    torch.testing.assert_close(found, ours, rtol=0, atol=near)
    assert (found - ours).abs().max() > near / 1e4 or precision == "f32"  # rounded it is


def test_every_tensor_is_there_once_to_the_bit(model: GPT, tmp_path: Path) -> None:
    from gguf import GGUFReader

    write_gguf(model.config, model.state_dict(), TOKENIZER, tmp_path / "model.gguf", name="tiny")
    found = {tensor.name: torch.tensor(tensor.data) for tensor in GGUFReader(tmp_path / "model.gguf").tensors}
    weights = model.state_dict()
    assert len(found) == len(weights)
    assert torch.equal(found["token_embd.weight"], weights["wte.weight"])
    assert torch.equal(found["blk.1.ffn_down.weight"], weights["h.1.mlp.c_proj.weight"])
    assert torch.equal(found["blk.0.attn_qkv.bias"], weights["h.0.attn.c_attn.bias"])


def test_the_ids_are_equal(model: GPT, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_gguf(model.config, model.state_dict(), TOKENIZER, tmp_path / "model.gguf", name="tiny")
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    for text in SCRIPTS:
        ids = theirs.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert ids == TOKENIZER.encode_ordinary(text), text
    assert theirs.eos_token_id == TOKENIZER.eot_token


def test_the_command_writes_it(model: GPT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "model")
    TOKENIZER.save(tmp_path / "model" / TOKENIZER_FILE)
    main([str(tmp_path / "model"), "--to", "gguf", "--precision", "q8_0", "--out", str(tmp_path / "out")])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.gguf"]


def test_what_the_format_does_not_have_is_refused(model: GPT, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    rotary = GPT(GPTConfig(block_size=8, vocab_size=300, n_layer=1, n_head=1, n_embd=8, position="rotary"))
    with pytest.raises(ValueError, match="this model has another architecture: position=rotary"):
        write_gguf(rotary.config, rotary.state_dict(), TOKENIZER, path, name="tiny")
    odd = GPT(GPTConfig(block_size=8, vocab_size=300, n_layer=1, n_head=1, n_embd=8))
    with pytest.raises(ValueError, match="q4_0 needs a width"):
        write_gguf(odd.config, odd.state_dict(), TOKENIZER, path, name="tiny", precision="q4_0")
    other = BytePairEncodingTokenizer.from_text("the robin", 258, pattern="o200k")
    with pytest.raises(ValueError, match="supports only GPT-2's"):
        write_gguf(odd.config, odd.state_dict(), other, path, name="tiny")
    yarn = RopeScaling("yarn", 4.0, learned_context=16, fast_turns=8.0)
    for llama, told in (
        ({"rope_scaling": yarn}, "GGUF has yarn with turns from 1 to 32"),
        (QWEN3 | {"rope_scaling": RopeScaling("llama3", 4.0)}, "no llama3 scaling of rotary positions for qwen3"),
        (QWEN3 | {"bias": True, "mlp_bias": False}, "GGUF has no biases for qwen3"),
        ({"norm": "layer", "norm_weight": False}, "this model has another architecture: "),
    ):
        settings: dict[str, Any] = {**SWIGLU, **llama}
        refused = GPT(GPTConfig(block_size=8, vocab_size=300, n_layer=1, n_head=1, n_embd=8, **settings))
        with pytest.raises(ValueError, match=told):
            write_gguf(refused.config, refused.state_dict(), TOKENIZER, path, name="tiny")
    wide = GPT(GPTConfig(8, 300, 1, 1, 32, mlp_width=40, **SWIGLU))
    with pytest.raises(ValueError, match=r"q8_0 needs a width \(mlp_width\) that 32 divides, it is 40"):
        write_gguf(wide.config, wide.state_dict(), TOKENIZER, path, name="tiny", precision="q8_0")
    assert list(tmp_path.iterdir()) == []
