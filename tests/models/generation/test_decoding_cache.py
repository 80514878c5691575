"""The decoding cache: the plain cache's numbers, in steps that can be recorded once and repeated."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.layers.decoding_cache import DecodingCache
from gpt_from_scratch.models.layers.kv_cache import KVCache
from tests.models.generation.small_models import GPT2, KINDS, MODERN, SHORT, WINDOWS, make

CPU = torch.device("cpu")
PROMPTS = [[1, 2, 8, 4, 5, 8, 6, 7, 9], [7, 3, 5, 2, 1, 0, 4], [9, 8, 7, 6, 5, 4, 3, 2, 1]]
READS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal", "item")


class Recorded(TorchDispatchMode):
    """The operations of a step, as a CUDA graph holds them: repeated on the same memory, the host deciding nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in READS, f"a step reads on the host: {name}"
        made = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, made))
        return made

    def replay(self) -> None:
        for func, args, kwargs, before in self.calls:
            made = func(*args, **kwargs)
            for old, new in zip(tree_leaves(before), tree_leaves(made), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def prompts_read(model: GPT, prompts: list[list[int]], room: int) -> KVCache:
    cache = KVCache(model.config, len(prompts), room, device=CPU, dtype=torch.float32)
    padded = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        padded[row, : len(prompt)] = torch.tensor(prompt)
    model.hidden(padded, cache)
    cache.truncate([len(prompt) for prompt in prompts])
    return cache


def decoding(model: GPT, prompts: KVCache, *, sliced: bool = True, slots: int = 5) -> DecodingCache:
    cache = DecodingCache(model.config, slots, model.config.block_size, device=CPU, dtype=torch.float32, sliced=sliced)
    cache.admit(prompts)
    return cache


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("ragged", [False, True], ids=["even", "ragged"])
@KINDS
@torch.inference_mode()
def test_its_logits_are_the_plain_caches(config: GPTConfig, ragged: bool, backend: str) -> None:
    """Bit by bit, but for rings and for documents that are forgotten, whose sums have another order."""
    model = make(config)
    prompts = PROMPTS if ragged else [PROMPTS[0], PROMPTS[2]]
    with use_backend(backend):
        plain = prompts_read(model, prompts, 24)
        cache = decoding(model, plain)
        for step in range(24 - len(PROMPTS[0])):
            tokens = torch.tensor([[(5 * step + 3 * row) % 11] for row in range(len(prompts))])
            mine, others = model(tokens, cache=cache), model(tokens, cache=plain)
            if config.window is None:
                assert torch.equal(mine, others)
            torch.testing.assert_close(mine, others)


@pytest.mark.parametrize(
    ("config", "steps"),
    [(GPT2, 20), (MODERN, 20), (WINDOWS, 1024), (SHORT, 20)],
    ids=["gpt2", "modern", "windows", "short"],
)
@torch.inference_mode()
def test_a_recorded_step_repeated_writes_on(config: GPTConfig, steps: int) -> None:
    """Nothing that the host knows is in a step: not the lengths, not where documents begin, nor where rings do."""
    model = make(GPTConfig(**{**vars(config), "block_size": steps + 10, "n_layer": 2, "n_head": 2, "n_embd": 16}))
    tokens = torch.randint(40, (3, steps), generator=torch.Generator().manual_seed(2))
    given, found, recorded = tokens[:, :1].clone(), [], Recorded()
    with use_backend("torch"):
        cache = decoding(model, prompts_read(model, PROMPTS, 10), sliced=False)
        with cache.rehearsal(), recorded:
            made = model(given, cache=cache)
        for step in range(steps):
            given.copy_(tokens[:, step : step + 1])
            recorded.replay()
            cache.tick()
            found.append(made.clone())
        plain = prompts_read(model, PROMPTS, steps + 10)
        expected = model(tokens, cache=plain)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=1e-3, atol=1e-4)
    assert cache.known == plain.known


@torch.inference_mode()
def test_a_rehearsed_step_leaves_no_trace() -> None:
    model = make(WINDOWS)
    found = []
    with use_backend("torch"):
        for rehearsed in (False, True):
            cache = decoding(model, prompts_read(model, PROMPTS, 24))
            for tokens in ([[8], [3], [1]], [[2], [8], [2]]):
                if rehearsed:
                    with cache.rehearsal():
                        model(torch.tensor(tokens), cache=cache)
                logits = model(torch.tensor(tokens), cache=cache)
            found.append((logits, cache.known, cache.lengths.tolist()))
    torch.testing.assert_close(*found, rtol=0, atol=0)
    assert found[0][1:] == ([11, 9, 11], [2, 1, 10])


@torch.inference_mode()
def test_a_read_on_the_host_is_seen() -> None:
    with pytest.raises(AssertionError, match="reads on the host"), Recorded():
        torch.tensor([1.0]).item()


@torch.inference_mode()
def test_rows_come_and_go_and_move_to_a_larger_cache() -> None:
    """A row's logits are as if it had been alone all along."""
    model = make(MODERN)
    with use_backend("torch"):
        cache = decoding(model, prompts_read(model, PROMPTS, 24), slots=3)
        alone = decoding(model, prompts_read(model, PROMPTS[2:], 24))
        model(torch.tensor([[1], [2], [3]]), cache=cache)
        model(torch.tensor([[3]]), cache=alone)
        cache.keep([2, 1])
        larger = DecodingCache(MODERN, 6, 24, device=CPU, dtype=torch.float32)
        assert not cache.has_room(2, 24) and not cache.has_room(1, 25) and larger.has_room(4, 24)
        larger.take_over(cache)
        larger.admit(prompts_read(model, PROMPTS[:2], 24))
        assert larger.known == [10, 8, 9, 7]
        mine = model(torch.tensor([[5], [6], [7], [8]]), cache=larger)[0]
        torch.testing.assert_close(mine, model(torch.tensor([[5]]), cache=alone)[0])


@torch.inference_mode()
def test_a_full_cache_takes_no_more() -> None:
    model = make(GPT2)
    cache = DecodingCache(GPT2, 1, len(PROMPTS[0]), device=CPU, dtype=torch.float32)
    cache.admit(prompts_read(model, PROMPTS[:1], 24))
    with pytest.raises(ValueError, match="room for 9 tokens, 10"):
        model(torch.tensor([[1]]), cache=cache)
