"""Models small enough to be generated from thousands of times."""

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig

GPT2 = GPTConfig(block_size=24, vocab_size=40, n_layer=2, n_head=4, n_embd=32)
MODERN = GPTConfig(
    **{**vars(GPT2), "position": "rotary", "qk_norm": True, "n_kv_head": 2, "tie_head": False, "ngram": 3}
)
DOCUMENTS = {"window": 4, "window_pattern": "SL", "document_mask": True, "logit_softcap": 5.0}
WINDOWS = GPTConfig(**{**vars(MODERN), **DOCUMENTS, "end_of_text": 8})
SHORT = GPTConfig(**{**vars(GPT2), **DOCUMENTS, "window_pattern": "S"})
KINDS = pytest.mark.parametrize("config", [GPT2, MODERN, WINDOWS, SHORT], ids=["gpt2", "modern", "windows", "short"])


def make(config: GPTConfig) -> GPT:
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model
