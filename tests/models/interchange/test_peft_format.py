"""Adaptations against peft itself: it opens ours, merges to the same bits, and what it wrote comes in."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from gpt_from_scratch.models.checkpoints.opening import kind_of, open_model
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange import hugging_face, peft_format
from gpt_from_scratch.models.layers.lora import LoRALinear, add_lora, base_weights, lora_layers
from gpt_from_scratch.models.settings import LAYERS, LoRAConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.optim.adaptation import adapt

TOKENIZER = CharacterTokenizer("\nabcdefgh")
SMALL = GPTConfig(block_size=16, vocab_size=TOKENIZER.n_vocab, n_layer=2, n_head=4, n_embd=24)
LLAMA = dataclasses.replace(
    SMALL, n_kv_head=2, position="rotary", norm="rms", activation="swiglu", mlp_width=40, bias=False, tie_head=False
)
KINDS = {
    "gpt2": SMALL,
    "llama": LLAMA,
    "gpt_from_scratch": dataclasses.replace(SMALL, position="rotary", qk_norm=True, activation="relu2", n_kv_head=2),
}
TOKENS = torch.arange(8).unsqueeze(0)


@pytest.fixture(params=KINDS)
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a model of each kind."""
    torch.manual_seed(1)
    folder = tmp_path / "base"
    GPT(KINDS[request.param]).save_pretrained(folder)
    hugging_face.write_beside(folder, KINDS[request.param], TOKENIZER, None)
    return folder


def learned(base: Path, out: Path, targets: tuple[str, ...] = LAYERS) -> GPT:
    """An adapted model whose adaptation is no longer zero, saved in peft's format."""
    opened = open_model(base, device="cpu")
    settings = LoRAConfig(rank=3, targets=targets)  # type: ignore[arg-type]
    adaptation = adapt(opened.model, str(base), kind_of(opened), "", settings)
    for layer in lora_layers(opened.model).values():
        torch.nn.init.normal_(layer.lora_B)
    out.mkdir()
    peft_format.write(out, adaptation.adapter(opened.model), adaptation.kind)
    return opened.model


def theirs(folder: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32)  # type: ignore[no-any-return]


@pytest.mark.parametrize("targets", [LAYERS, ("attn.c_proj", "mlp.c_fc")])
def test_peft_opens_it_computes_the_same_and_merges_to_the_same_bits(
    base: Path, tmp_path: Path, targets: tuple[str, ...]
) -> None:
    model = learned(base, tmp_path / "adapter", targets)
    opened = PeftModel.from_pretrained(theirs(base), str(tmp_path / "adapter"))
    torch.testing.assert_close(opened(input_ids=TOKENS).logits, model(TOKENS), rtol=1e-4, atol=1e-5)
    opened.merge_and_unload().save_pretrained(tmp_path / "merged")
    peft = GPT.from_pretrained(tmp_path / "merged").state_dict()
    ours = open_model(tmp_path / "adapter", device="cpu").model.state_dict()
    assert ours.keys() == peft.keys()
    assert all(torch.equal(ours[name], peft[name]) for name in ours)
    assert not torch.equal(ours["h.1.attn.c_proj.weight"], model.state_dict()["h.1.attn.c_proj.weight"])


def test_its_tensors_go_through_peft_and_come_back(base: Path, tmp_path: Path) -> None:
    model = learned(base, tmp_path / "adapter")
    PeftModel.from_pretrained(theirs(base), str(tmp_path / "adapter")).save_pretrained(tmp_path / "again")
    ours, again = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("adapter", "again"))
    assert ours.keys() == again.keys() and all(torch.equal(ours[name], again[name]) for name in ours)
    fresh = open_model(base, device="cpu")
    add_lora(fresh.model, 3, 6.0, LAYERS)
    peft_format.put_back(fresh.model, fresh.model.config, kind_of(fresh), again)
    assert all(
        torch.equal(a, b) for a, b in zip(fresh.model.state_dict().values(), model.state_dict().values(), strict=True)
    )


def test_an_adapter_that_peft_made_is_opened(tmp_path: Path) -> None:
    """Its queries and values each have an A of their own."""
    GPT(LLAMA).save_pretrained(tmp_path / "base")
    hugging_face.write_beside(tmp_path / "base", LLAMA, TOKENIZER, None)
    config = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    made = get_peft_model(theirs(tmp_path / "base"), config)
    made.save_pretrained(str(tmp_path / "adapter"))
    ours = open_model(tmp_path / "adapter", device="cpu").model
    torch.testing.assert_close(made(input_ids=TOKENS).logits, ours(TOKENS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"use_dora": True}, "adapter_config.json: use_dora is True"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; this can load 'LORA'"),
        ({"r": 0}, "r is 0: at least 1"),
        ({"base_model_name_or_path": "/nowhere"}, "no folder '/nowhere'"),
    ],
)
def test_what_is_no_plain_lora_is_refused_by_name(tmp_path: Path, change: dict[str, object], told: str) -> None:
    GPT(SMALL).save_pretrained(tmp_path / "base")
    hugging_face.write_beside(tmp_path / "base", SMALL, TOKENIZER, None)
    learned(tmp_path / "base", tmp_path / "adapter")
    path = tmp_path / "adapter" / peft_format.ADAPTER_CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        open_model(tmp_path / "adapter", device="cpu")


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    for name, config in (("base", SMALL), ("other", dataclasses.replace(SMALL, n_layer=1))):
        GPT(config).save_pretrained(tmp_path / name)
        hugging_face.write_beside(tmp_path / name, config, TOKENIZER, None)
    learned(tmp_path / "base", tmp_path / "adapter")
    path = tmp_path / "adapter" / peft_format.ADAPTER_CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(tmp_path / "other")}))
    with pytest.raises(ValueError, match=r"h\.1\..*belongs to another model"):
        open_model(tmp_path / "adapter", device="cpu")


@pytest.mark.parametrize("letter", ["A", "B"])
def test_a_matrix_without_its_other_is_not_passed_over(tmp_path: Path, letter: str) -> None:
    GPT(SMALL).save_pretrained(tmp_path / "base")
    hugging_face.write_beside(tmp_path / "base", SMALL, TOKENIZER, None)
    learned(tmp_path / "base", tmp_path / "adapter")
    file = tmp_path / "adapter" / peft_format.ADAPTER_WEIGHTS
    left_out = f"{peft_format.PREFIX}transformer.h.0.attn.c_attn.lora_{letter}.weight"
    save_file({name: tensor for name, tensor in load_file(file).items() if name != left_out}, file)
    with pytest.raises(ValueError, match=r"h\.0\.attn\.c_attn.*lacks the other matrix of its pair"):
        open_model(tmp_path / "adapter", device="cpu")


def test_what_is_frozen_has_no_gradient_and_nothing_below_the_first_adapted_layer_is_computed() -> None:
    model = GPT(SMALL)
    add_lora(model, 2, 4.0, ("mlp.c_proj",))
    model(TOKENS, TOKENS).backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {f"h.{layer}.mlp.c_proj.lora_{letter}" for layer in (0, 1) for letter in "AB"}
    assert base_weights(model).keys() == GPT(SMALL).state_dict().keys()
    assert isinstance(model.get_submodule("h.0.mlp.c_proj"), LoRALinear)
    with pytest.raises(ValueError, match="no linear layer attn.q to adapt"):
        add_lora(GPT(SMALL), 2, 4.0, ("attn.q",))
