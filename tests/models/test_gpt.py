"""The GPT: its size and initial values, and its two ways of being called."""

import math
import subprocess
import sys

import pytest
import torch

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.kernels.registry import load_backends
from gpt_from_scratch.models.gpt import GPT, GPT2_SIZES, GPTConfig

PARTS = ("qkv_bias", "proj_bias", "mlp_bias")
TINY = GPTConfig(block_size=16, vocab_size=50, n_layer=2, n_head=4, n_embd=32)
MODERN = GPTConfig(
    **{
        **vars(TINY),
        "position": "rotary",
        "qk_norm": True,
        "activation": "relu2",
        "zero_init": True,
        "bias": False,
        "tie_head": False,
        "n_kv_head": 2,
        "ngram": 3,
        "ngram_buckets": 60,
    }
)


def tokens(b: int = 2, t: int = 16) -> torch.Tensor:
    return torch.randint(50, (b, t), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "count"),
    [("gpt2", 124_439_808), ("gpt2-medium", 354_823_168), ("gpt2-large", 774_030_080), ("gpt2-xl", 1_557_611_200)],
)
def test_gpt2_has_its_published_number_of_parameters(name: str, count: int) -> None:
    with torch.device("meta"):
        model = GPT(GPT2_SIZES[name])
    assert model.num_parameters() == count
    assert GPT2_SIZES[name].beyond_gpt2() == []


@pytest.mark.parametrize("config", [TINY, MODERN], ids=["gpt2", "modern"])
def test_the_loss_is_that_of_the_logits(config: GPTConfig) -> None:
    torch.manual_seed(0)
    model, x = GPT(config), tokens()
    torch.nn.init.normal_(model.head_weight, std=0.2)
    logits = model(x)
    assert logits.shape == (2, 16, 50)
    targets = x.roll(-1, 1)
    targets[:, -1] = -100
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(2, 16)
    torch.testing.assert_close(model(x, targets, reduction="none"), expected)
    torch.testing.assert_close(model(x, targets), expected.sum() / 30)


@pytest.mark.parametrize("config", [TINY, MODERN], ids=["gpt2", "modern"])
def test_it_is_causal_and_starts_near_the_uniform_loss(config: GPTConfig) -> None:
    torch.manual_seed(0)
    model, x = GPT(config), tokens()
    assert abs(float(model(x, x.roll(-1, 1))) - math.log(50)) < 0.1
    torch.nn.init.normal_(model.head_weight, std=0.2)
    changed = x.clone()
    changed[:, 9] = (changed[:, 9] + 1) % 50
    before, after = model(x), model(changed)
    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9:], after[:, 9:])


@pytest.mark.parametrize("config", [TINY, MODERN], ids=["gpt2", "modern"])
def test_backends_agree_on_the_whole_model(config: GPTConfig) -> None:
    torch.manual_seed(0)
    model, x = GPT(config), tokens()
    torch.nn.init.normal_(model.head_weight, std=0.2)
    losses, gradients = [], []
    for name in ("reference", "torch"):
        with use_backend(name):
            loss = model(x, x.roll(-1, 1))
            gradients.append(torch.autograd.grad(loss, list(model.parameters())))
            losses.append(loss)
    torch.testing.assert_close(losses[0], losses[1])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_bf16_autocast_keeps_the_stream_narrow_and_the_loss_wide() -> None:
    torch.manual_seed(0)
    model, x = GPT(TINY), tokens()
    exact = model(x, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.hidden(x).dtype == torch.bfloat16
        loss = model(x, x)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())
    assert abs(float(loss - exact)) < 0.02


def test_gpt2_initial_values() -> None:
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=64, vocab_size=500, n_layer=8, n_head=4, n_embd=128))
    state = model.state_dict()
    assert abs(float(state["wte.weight"].std()) - 0.02) < 0.001
    assert abs(float(state["h.3.attn.c_attn.weight"].std()) - 0.02) < 0.001
    assert abs(float(state["h.3.mlp.c_proj.weight"].std()) - 0.02 / 4) < 0.0005
    assert float(state["h.0.attn.c_attn.bias"].abs().max()) == 0
    assert float(state["ln_f.weight"].min()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 30}, "n_head 4 must divide n_embd 30; the nearest that does is"),
        ({"n_kv_head": 3}, "n_kv_head 3 must divide n_head 4"),
        ({"n_layer": 0}, "n_layer must be at least 1"),
        ({"ngram": 0}, "ngram must be at least 1"),
        ({"position": "rotary", "n_embd": 12}, "even head size"),
    ],
)
def test_impossible_architectures_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GPTConfig(**{**vars(TINY), **changes})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n_kv_head": 4, "head_dim": 8, "mlp_width": 128, "qkv_bias": True}, {}),
        ({"rope_base": 5.0, "qk_norm_eps": 0.1, "ngram_buckets": 9, "zero_init": True}, {}),
        ({"norm": "rms", "mlp_bias": False}, {"norm": "rms", "bias": False, "qkv_bias": True, "proj_bias": True}),
        ({"norm_weight": False}, {"norm_weight": False, "bias": False, **dict.fromkeys(PARTS, True)}),
    ],
)
def test_one_architecture_has_one_canonical_form(one: dict, other: dict) -> None:
    first, second = (GPTConfig(**{**vars(TINY), **changes}) for changes in (one, other))
    assert first.canonical() == second.canonical() == first.canonical().canonical()
    torch.manual_seed(0)
    models = [GPT(config) for config in (first, first.canonical())]
    assert models[0].state_dict().keys() == models[1].state_dict().keys() == GPT(second).state_dict().keys()
    assert GPTConfig(**{**vars(TINY), "bias": False}).canonical() != TINY.canonical()


def test_too_long_an_input_is_refused() -> None:
    with pytest.raises(ValueError, match="17 tokens do not fit the context of 16"):
        GPT(TINY)(tokens(1, 17))


@pytest.mark.compile
def test_the_whole_model_compiles_without_a_graph_break() -> None:
    torch.manual_seed(0)
    model, x = GPT(MODERN), tokens()
    load_backends("cpu")
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with use_backend("torch"):
        torch.testing.assert_close(compiled(x, x), model(x, x))
        compiled(x, x).backward()


MAKING = """
from gpt_from_scratch.kernels import registry
from gpt_from_scratch.models.gpt import GPT, GPTConfig

def known():
    return {name: {b.name: b.function for b in op.backends.values()} for name, op in registry.OPS.items()}

before = known()
GPT(GPTConfig(block_size=8, vocab_size=8, n_layer=1, n_head=1, n_embd=8))
assert known() == before, "a model imported backends"
registry.load_backends("cpu")
assert known() != before
"""


def test_making_a_model_leaves_the_registry_alone() -> None:
    subprocess.run([sys.executable, "-c", MAKING], check=True)
