"""Weights in oneDNN's layout give the model's own tokens and logits."""

import pytest
import torch

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.generation.engine import Engine
from gpt_from_scratch.models.generation.onednn_weights import PackedGPT, can_pack
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.models.layers.kv_cache import KVCache
from tests.models.generation.small_models import GPT2, KINDS, WINDOWS, make


@pytest.mark.parametrize("config", [GPT2, WINDOWS], ids=["gpt2", "windows"])
def test_packed_matrices_give_the_same_tokens(config: GPTConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come and go, so that the engine changes between the model and its packed twin."""
    model = make(config)
    lengths = [4, 30, 18, 22, 30]
    prompts = [[n, n + 1] for n in range(len(lengths))]

    def tokens() -> tuple[list[list[int]], bool]:
        engine, made = Engine(model, max_rows=4), [[] for _ in lengths]
        for prompt, length in zip(prompts, lengths, strict=True):
            engine.add(prompt, length, Sampling(seed=length))
        while engine.busy:
            for new in engine.step():
                made[new.row].append(new.token)
        return made, engine._packed is not None

    with use_backend("torch"):
        expected, packed = tokens()
        assert not packed, "it is far too small"
        monkeypatch.setattr("gpt_from_scratch.models.generation.onednn_weights.LEAST_BYTES", 0)
        if not can_pack(model):
            pytest.skip("oneDNN does not pack for this processor")
        assert tokens() == (expected, True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@KINDS
def test_packed_logits_are_the_models(config: GPTConfig, dtype: torch.dtype) -> None:
    model = make(config).to(dtype)
    rows = torch.randint(40, (5, 6), generator=torch.Generator().manual_seed(1))
    found = []
    with use_backend("torch"), torch.inference_mode():
        if not torch.backends.mkldnn.is_available():
            pytest.skip("this torch has no oneDNN")
        packed = PackedGPT(model)
        for logits in (packed.logits, lambda tokens, cache: model(tokens, cache=cache)[:, -1]):
            cache = KVCache(config, 5, 24, device=rows.device, dtype=dtype)
            model(rows[:, :5], cache=cache)
            found.append(logits(rows[:, 5:], cache))
    assert found[0].dtype == dtype
    if dtype == torch.float32:
        torch.testing.assert_close(*found)
    else:  # rounded after each layer
        torch.testing.assert_close(*found, rtol=0.05, atol=0.1)
