"""Models of the Llama family come in exactly: equal logits and gradients; what cannot be followed is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.models.layers.kv_cache import KVCache

pytest.importorskip("transformers")
from tests.models.interchange.families import FAMILIES, LLAMA3, make

LENGTH = 64


def tokens() -> torch.Tensor:
    return torch.randint(300, (2, LENGTH), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logits_are_equal_at_every_position_with_and_without_cache(family: str, tmp_path: Path) -> None:
    theirs, x = make(family), tokens()
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path).eval()
    cache = KVCache(ours.config, 2, LENGTH, device=torch.device("cpu"), dtype=torch.float32)
    with torch.no_grad():
        expected = theirs(x).logits
        parts = [ours(part, cache=cache) for part in x.split([7, 1, 1, LENGTH - 9], dim=1)]
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-4)
        torch.testing.assert_close(torch.cat(parts, dim=1), expected, rtol=0, atol=1e-4)
    assert expected.std() > 0.3  # there is something to be equal


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradients_are_equal(family: str, tmp_path: Path) -> None:
    theirs, x = make(family), tokens()
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path).train()
    ours(x[:, :-1], x[:, 1:]).backward()
    theirs.train()(x, labels=x).loss.backward()
    # Theirs go the way of weights: written as a model, and read as ours.
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(parameter.grad)
    theirs.save_pretrained(tmp_path / "gradients")
    expected = GPT.from_pretrained(tmp_path / "gradients")
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected.get_parameter(name).detach(), rtol=1e-3, atol=1e-5)


def test_fp32_angles_are_theirs_far_out(tmp_path: Path) -> None:
    """At position 30,000 an exact angle differs from that of their fp32 by a thousandth."""
    theirs = make("llama", max_position_embeddings=32_768)
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path)
    places = torch.arange(30_000, 30_008).unsqueeze(0)
    cosine, sine = theirs.model.rotary_emb(torch.zeros(1), places)
    expected = torch.stack([cosine, sine])[:, 0, :, : ours.config.head_size // 2]
    torch.testing.assert_close(ours.cosines_and_sines[:, places[0]], expected, rtol=0, atol=1e-6)


def test_a_shorter_context_gives_the_same_logits(tmp_path: Path) -> None:
    for family in ("llama scaled", "gpt2"):
        make(family).save_pretrained(tmp_path)
        whole = GPT.from_pretrained(tmp_path).eval()
        short, x = whole.with_context(16), tokens()[:, :16]
        assert short.config.block_size == 16
        with torch.no_grad():
            torch.testing.assert_close(short(x), whole(x))
        with pytest.raises(ValueError, match="a context of 65 is more than the model has: 64"):
            whole.with_context(65)


def test_the_names_of_a_model_without_its_head_and_of_old_files_are_known(tmp_path: Path) -> None:
    theirs = make("llama")
    theirs.save_pretrained(tmp_path)
    expected = GPT.from_pretrained(tmp_path).state_dict()
    tensors = load_file(tmp_path / "model.safetensors")
    old = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    old |= {f"layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(2)}
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = GPT.from_pretrained(tmp_path).state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    save_file(
        {name: tensor.clone() for name, tensor in (old | tensors).items()},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(ValueError, match="twice, once without the prefix"):
        GPT.from_pretrained(tmp_path)
    save_file({n: t for n, t in tensors.items() if "1.self_attn.k_proj" not in n}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"has .* and lacks model\.layers\.1\.self_attn\.k_proj\.weight"):
        GPT.from_pretrained(tmp_path)
    save_file(tensors | {"model.layers.0.extra.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"names or shapes differ, e\.g\..*extra"):
        GPT.from_pretrained(tmp_path)


SCALED = {"rope_type": "llama3", "rope_theta": 500.0, **LLAMA3}


@pytest.mark.parametrize(
    ("family", "change", "told"),
    [
        ("llama", {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config is"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
            "rope_type is 'dynamic'; supported are",
        ),
        ("llama", {"rope_scaling": {"type": "longrope", "factor": 2.0}}, "rope_type is 'longrope'"),
        ("llama", {"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}, "positions that differ from layer"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ("llama", {"rope_parameters": {k: v for k, v in SCALED.items() if k != "factor"}}, "factor is missing"),
        ("llama", {"rope_parameters": SCALED | {"factor": "8"}}, "factor is '8', expected float"),
        ("llama", {"rope_parameters": SCALED | {"low_freq_factor": 4.0}}, "slow_turns 4.0 must be above 0 and below"),
        ("llama", {"num_attention_heads": 0}, "must be at least 1"),
        ("llama", {"num_attention_heads": True}, "num_attention_heads is True, expected int"),
        ("llama", {"max_position_embeddings": 1 << 24}, "at most"),
        ("llama", {"vocab_size": 7}, "vocab_size is 7, and model.safetensors has 300"),
        ("mistral", {"sliding_window": 32}, "sliding_window is 32, below the context of 64"),
        ("qwen2", {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types has 'sliding_attention'"),
        ("smollm3 with positions", {"no_rope_layers": [1, 0]}, "no_rope_layers: layer 1 has no positions"),
        ("olmo", {"clip_qkv": 8.0}, "clip_qkv is 8.0"),
        ("llama", {"model_type": "gemma3_text"}, "model_type is 'gemma3_text'; this can load .*'qwen3'"),
    ],
)
def test_what_ours_does_not_do_is_refused_by_name(
    family: str, change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    make(family).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    if "rope_scaling" in change:
        config.pop("rope_parameters")
    (tmp_path / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
    with pytest.raises(ValueError, match=f"config.json: .*{told}"):
        GPT.from_pretrained(tmp_path)


def test_the_older_names_of_rotary_fields_mean_the_same(tmp_path: Path) -> None:
    make("llama scaled").save_pretrained(tmp_path)
    expected = GPT.from_pretrained(tmp_path).config
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    rope = config.pop("rope_parameters")
    for old in (rope | {"rope_theta": rope["rope_theta"]}, {"type": rope["rope_type"], **LLAMA3}):
        described = config | {"rope_theta": 500, "rope_scaling": {k: v for k, v in old.items() if k != "rope_theta"}}
        (tmp_path / "config.json").write_text(json.dumps(described), encoding="utf-8")
        assert GPT.from_pretrained(tmp_path).config == expected
