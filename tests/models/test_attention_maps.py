"""The maps are the weights that attention used."""

import pytest
import torch

from gpt_from_scratch.models.attention_maps import attention_maps
from gpt_from_scratch.models.gpt import GPT, GPTConfig

MODERN = GPTConfig(
    block_size=16, vocab_size=11, n_layer=2, n_head=4, n_embd=32, n_kv_head=2, position="rotary", qk_norm=True
)
PLAIN = GPTConfig(block_size=16, vocab_size=11, n_layer=3, n_head=2, n_embd=16)


@pytest.mark.parametrize("config", [PLAIN, MODERN], ids=["gpt2", "modern"])
def test_the_maps_give_the_heads_their_outputs(config: GPTConfig) -> None:
    torch.manual_seed(0)
    model, tokens = GPT(config), [1, 5, 3, 3, 10, 0, 7]
    seen = []
    for block in model.h:
        block.attn.c_proj.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        block.attn.register_forward_pre_hook(
            lambda module, inputs: seen.append(module.queries_keys_values(*inputs[:2])[2])
        )
    maps = attention_maps(model, tokens)
    assert maps.shape == (config.n_layer, config.n_head, 7, 7)
    assert (maps.triu(1) == 0).all()
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:3]))
    for layer in range(config.n_layer):
        v, heads_out = seen[2 * layer], seen[2 * layer + 1]
        expected = heads_out.view(1, 7, config.n_head, config.head_size).transpose(1, 2)[0]
        v = v[0].repeat_interleave(config.n_head // config.kv_heads, dim=0)
        torch.testing.assert_close(maps[layer] @ v, expected)


def test_no_text_is_said() -> None:
    with pytest.raises(ValueError, match="no tokens"):
        attention_maps(GPT(PLAIN), [])
