"""A checkpoint's model/ opens in Hugging Face's libraries alone: equal logits, ids and texts, for every architecture."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from safetensors.torch import save_file

from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange.pretrained import model_type
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.formats.hugging_face_folder import tokenizer_json
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.run.presets import PRESETS
from tests.models.interchange.architectures import (
    CLASSES,
    CONTEXT,
    FAMILY,
    LLAMA,
    NORMED,
    SCALINGS,
    SWITCHES,
    combination,
    sized,
)
from tests.tokenizer.texts import SCRIPTS, fuzz, texts

COMBINATIONS = int(os.environ.get("GPT_COMBINATIONS", "8"))
PROMPTS, NEW = ([5, 0, 9, 5, 5], [1, 2], [7]), 12
LEARNED = "the robin sang to the fox, and it's 12345 times as glad!\n" * 30 + "".join(SCRIPTS)
BYTE_PAIRS = BytePairEncodingTokenizer.from_text(LEARNED, 300, pattern="gpt2")
TOKENIZERS: dict[str, Tokenizer] = {
    "bytes": BYTE_PAIRS,
    "characters": CharacterTokenizer.from_text(LEARNED),
    "tiktoken": TiktokenTokenizer(BYTE_PAIRS.to_tiktoken("small")),
}


def checkpoint(config: GPTConfig, tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """A case for `open_elsewhere`, and what must come of it under "ours"."""
    torch.manual_seed(1)
    model = GPT(dataclasses.replace(config, vocab_size=tokenizer.n_vocab)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    store = CheckpointStore(folder)
    store.save(
        3, config=model.config, weights=model.state_dict(), tokenizer=tokenizer, tensors={}, state={}, card="# a card\n"
    )
    tokens = torch.randint(tokenizer.n_vocab, (2, CONTEXT))
    with torch.no_grad():
        save_file({"tokens": tokens, "logits": model(tokens)}, folder / "expected.safetensors")
    known = [text for text in SCRIPTS if not isinstance(tokenizer, CharacterTokenizer) or set(text) <= set(LEARNED)]
    return {
        "folder": str(store.path_of(3) / "model"),
        "expected": str(folder / "expected.safetensors"),
        "trusts": model_type(config) == "gpt_from_scratch",
        "prompts": PROMPTS,
        "new": NEW,
        "texts": known,
        "ours": {
            "written": generate(model, PROMPTS, NEW, Sampling(temperature=0.0)),
            "ids": [tokenizer.encode_ordinary(text) for text in known],
            "eos": tokenizer.eot_token,
            "class": CLASSES[model_type(config)],
        },
    }


def elsewhere(cases: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What a process makes of the cases that has not this package."""
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    script = Path(__file__).with_name("open_elsewhere.py")
    environment = os.environ | {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"}
    run = subprocess.run(
        [sys.executable, script, folder / "cases.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: list[dict[str, Any]] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_every_architecture_opens_without_this_package(tmp_path: Path) -> None:
    rng = random.Random(0)
    configs = {
        **{f"preset {name}": sized(preset.model) for name, (_, preset) in PRESETS.items()},
        **{f"{switch}": sized(GPTConfig(), **switch) for switch in SWITCHES},
        **{f"{kind} {n}": sized(GPTConfig(), **one) for kind, all_ in FAMILY.items() for n, one in enumerate(all_)},
        **{f"combination {number}": combination(rng) for number in range(COMBINATIONS)},
    }
    kinds = list(TOKENIZERS.values())
    cases = []
    for number, config in enumerate(configs.values()):
        (folder := tmp_path / str(number)).mkdir()
        cases.append(checkpoint(config, kinds[number % len(kinds)], folder))
    for (name, config), case, found in zip(configs.items(), cases, elsewhere(cases, tmp_path), strict=True):
        ours = case["ours"]
        assert found["class"] == ours["class"], name
        assert found["whole"] < 1e-4 and found["cached"] < 1e-4, (name, found["whole"], found["cached"])
        assert found["written"] == dict.fromkeys(("dynamic", "static", "none"), ours["written"]), name
        assert found["ids"] == ours["ids"], name
        assert found["texts"] == case["texts"], name
        assert found["eos"] == [ours["eos"]] * 2, name
        assert found["longest"] == config.block_size, name


def test_llama_like_settings_are_written_as_that_model_type() -> None:
    for kind, all_ in FAMILY.items():
        assert {model_type(sized(GPTConfig(), **one)) for one in all_} == {kind}
    for change in (
        {"norm": "layer"},
        {"norm_weight": False},
        {"norm_place": "after"},
        {"activation": "gelu"},
        {"position": "learned"},
        {"qk_norm": True},
        NORMED | {"qk_norm_eps": 1e-3},
        NORMED | {"mlp_bias": True},
        {"proj_bias": True},
        {"qkv_bias": True, "mlp_bias": True},
        {"qkv_bias": True},  # Qwen 2's, for which transformers has a tokenizer of its own
        {"ngram": 2},
        {"window": 5},
        {"document_mask": True},
        {"logit_softcap": 2.0},
    ):
        assert model_type(sized(GPTConfig(), **LLAMA | change)) == "gpt_from_scratch", change


@pytest.mark.parametrize(
    "config",
    [
        sized(GPTConfig()),
        sized(GPTConfig(), ngram=3, tie_head=False, n_kv_head=2),
        sized(GPTConfig(), window=5, window_pattern="SL", document_mask=True, end_of_text=3, logit_softcap=2.0),
        sized(GPTConfig(), position="rotary", rope_base=500.0, rope_scaling=SCALINGS[2], norm="rms", head_dim=10),
        *(sized(GPTConfig(), **one) for all_ in FAMILY.values() for one in all_),
    ],
)
def test_there_and_back_is_bit_equal(config: GPTConfig, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    case = checkpoint(config, BYTE_PAIRS, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(case["folder"], trust_remote_code=True)
    theirs.save_pretrained(tmp_path / "back")
    first, second = GPT.from_pretrained(case["folder"]), GPT.from_pretrained(tmp_path / "back")
    sized_to_it = dataclasses.replace(config, vocab_size=BYTE_PAIRS.n_vocab)
    assert first.config.canonical() == second.config.canonical() == sized_to_it.canonical()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_the_same_loss_and_gradients(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    config = sized(GPTConfig(), position="rotary", qk_norm=True, activation="relu2", ngram=3, n_kv_head=2, bias=False)
    case = checkpoint(config, BYTE_PAIRS, tmp_path)
    ours = GPT.from_pretrained(case["folder"])
    theirs = AutoModelForCausalLM.from_pretrained(case["folder"], trust_remote_code=True).train()
    tokens = torch.randint(300, (2, CONTEXT))
    ours(tokens[:, :-1], tokens[:, 1:]).backward()
    out = theirs(tokens, labels=tokens)
    out.loss.backward()
    assert out.cache is None
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(parameter.grad, ours.get_parameter(name).grad, rtol=1e-4, atol=1e-6)


def opened(config: GPTConfig, tmp_path: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        checkpoint(config, BYTE_PAIRS, tmp_path)["folder"], trust_remote_code=True
    ).eval()


def test_beams_reorder_what_ngrams_need(tmp_path: Path) -> None:
    model = opened(sized(GPTConfig(), ngram=4), tmp_path)
    written = [
        model.generate(torch.tensor([[3, 4]]), num_beams=4, max_new_tokens=NEW, do_sample=False, use_cache=cached)
        for cached in (True, False)
    ]
    assert torch.equal(*written)


def test_a_model_in_bf16_keeps_the_tokens_of_ngrams_exact(tmp_path: Path) -> None:
    model = opened(sized(GPTConfig(), ngram=3, ngram_buckets=200_000), tmp_path).bfloat16()
    tokens = torch.arange(CONTEXT).unsqueeze(0) + 270  # beyond what bf16 holds as a number
    with torch.no_grad():
        out = model(tokens)
    seen = model.tokens_before(tokens, out.cache, CONTEXT, 2)
    assert seen.tolist() == (tokens[:, -2:] + 1).tolist()


def test_what_the_model_cannot_do_is_refused_in_words(tmp_path: Path) -> None:
    model = opened(sized(GPTConfig(), ngram=3), tmp_path)
    tokens = torch.zeros(1, CONTEXT + 1, dtype=torch.int64)
    with pytest.raises(ValueError, match=f"{CONTEXT + 1} tokens do not fit the context of {CONTEXT}"):
        model(tokens)
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(1, 3\), expected \(1, 4\)"):
        model(tokens[:, :4], attention_mask=torch.ones(1, 3))
    out = model(tokens[:, :4])
    out.cache.layers[0].values = torch.zeros(0)  # as a quantized cache has it
    with pytest.raises(ValueError, match="a DynamicCache cannot keep what this model needs of earlier tokens"):
        model(tokens[:, :1], cache=out.cache)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_byte_pairs_give_equal_ids_for_any_text(pattern: str) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    ours = BytePairEncodingTokenizer.from_text(LEARNED, 400, pattern=pattern)
    theirs = tokenizers.Tokenizer.from_str(tokenizer_json(ours))
    theirs.encode_special_tokens = True

    @fuzz
    @given(texts)
    def check(text: str) -> None:
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ids == ours.encode_ordinary(text)
        assert theirs.decode(ids, skip_special_tokens=False) == text

    check()


def test_characters_give_equal_ids_and_refuse_the_same() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    ours = TOKENIZERS["characters"]
    theirs = tokenizers.Tokenizer.from_str(tokenizer_json(ours))
    theirs.encode_special_tokens = True

    @fuzz
    @given(texts)
    def check(text: str) -> None:
        try:
            ids = ours.encode_ordinary(text)
        except ValueError:
            with pytest.raises(Exception, match="Missing"):
                theirs.encode(text)
            return
        assert theirs.encode(text, add_special_tokens=False).ids == ids
        assert theirs.decode(ids, skip_special_tokens=False) == text

    check()


def test_what_their_library_cannot_do_is_said_once(tmp_path: Path) -> None:
    """Two letters that ignore case may be one ligature in Oniguruma."""
    tokenizer = BytePairEncodingTokenizer.from_text(LEARNED, 280, pattern=r"(?i:ss)|[\s\S]")
    said: list[str] = []
    store = CheckpointStore(tmp_path / "c", warn=said.append)
    model = GPT(GPTConfig(8, tokenizer.n_vocab, 1, 1, 8))
    for step in (1, 2):
        store.save(step, config=model.config, weights=model.state_dict(), tokenizer=tokenizer, tensors={}, state={})
    assert len(said) == 1 and "no tokenizer.json" in said[0] and "'ss' in (?i:…)" in said[0]
    names = {path.name for path in (store.path_of(2) / "model").iterdir()}
    assert "tokenizer_config.json" in names and "tokenizer.json" not in names
    from transformers import AutoTokenizer

    with pytest.raises((ValueError, OSError)):  # and not an empty vocabulary, without a word
        AutoTokenizer.from_pretrained(store.path_of(2) / "model")
