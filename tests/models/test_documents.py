"""Documents, windows and the bound of the logits in the model: what each token sees, and what it never depends on."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.attention_maps import attention_maps
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.layers.documents import documents_and_positions

EOT = 0
LEARNED = GPTConfig(
    block_size=24, vocab_size=30, n_layer=3, n_head=2, n_embd=16, document_mask=True, end_of_text=EOT, ngram=3
)
ROTARY = dataclasses.replace(LEARNED, position="rotary", window=3, window_pattern="SL", logit_softcap=2.0)
KINDS = pytest.mark.parametrize("config", [LEARNED, ROTARY], ids=["learned", "rotary"])
FIRST, SECOND, THIRD = [EOT, 5, 6, 7, 8], [EOT, 9, 4, 4, 3, 2, 11, 8], [EOT, 5]


def make(config: GPTConfig) -> GPT:
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.double()


def losses(model: GPT, tokens: list[int]) -> Tensor:
    row = torch.tensor([[*tokens, EOT]])
    return model(row[:, :-1], row[:, 1:], reduction="none")[0]


@pytest.mark.parametrize("backend", ["reference", "torch"])
@KINDS
def test_the_loss_of_a_packed_document_is_its_loss_alone(config: GPTConfig, backend: str) -> None:
    model = make(config)
    with use_backend(backend):
        packed = losses(model, FIRST + SECOND + THIRD)
        alone = [losses(model, document) for document in (FIRST, SECOND, THIRD)]
        torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-10, atol=1e-10)
        seeing = make(dataclasses.replace(config, document_mask=False))
        assert float((losses(seeing, FIRST + SECOND + THIRD) - packed).detach()[len(FIRST) :].abs().max()) > 0.01


@pytest.mark.parametrize("backend", ["reference", "torch"])
@KINDS
def test_the_gradients_of_a_document_do_not_depend_on_its_neighbours_at_all(config: GPTConfig, backend: str) -> None:
    model, start = make(config), len(FIRST)
    seen: list[Tensor] = []
    model.wte.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad_()))
    found = []
    with use_backend(backend):
        for neighbour in (FIRST, [EOT, 20, 21, 22, 23]):
            packed = losses(model, neighbour + SECOND + THIRD)
            (gradient,) = torch.autograd.grad(packed[start : start + len(SECOND)].sum(), seen[-1])
            assert float(gradient[0, :start].abs().max()) == 0
            assert float(gradient[0, start + len(SECOND) :].abs().max()) == 0
            found.append(gradient[0, start : start + len(SECOND)])
    assert float(found[0].abs().max()) > 0 and torch.equal(*found)


def test_documents_begin_with_the_end_of_text_token_and_a_rest_is_one() -> None:
    documents, positions = documents_and_positions(
        torch.tensor([[4, 5, EOT, 6, EOT, EOT, 7], [EOT, 1, 2, 3, 4, 5, 6]]), EOT
    )
    assert documents.tolist() == [[0, 0, 1, 1, 2, 3, 3], [1] * 7]
    assert positions.tolist() == [[0, 1, 0, 1, 0, 0, 1], [0, 1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize("pattern", ["S", "SL", "LLS"])
def test_each_layer_sees_what_the_pattern_says(pattern: str) -> None:
    model = make(dataclasses.replace(ROTARY, window=3, window_pattern=pattern, document_mask=False))
    maps = attention_maps(model, range(10))
    for layer, seen in enumerate(maps > 0):
        reach = 3 if pattern[layer % len(pattern)] == "S" else 10
        assert [int(row.sum()) for row in seen[0]] == [min(place + 1, reach) for place in range(10)]


def test_maps_stay_within_documents() -> None:
    maps = attention_maps(make(LEARNED), FIRST + SECOND)
    assert float(maps[:, :, len(FIRST) :, : len(FIRST)].abs().max()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 0}, "window must be at least 1"),
        ({"window_pattern": "SXL"}, "letters S .the window. and L"),
        ({"window_pattern": ""}, "letters S"),
        ({"end_of_text": 30}, "end_of_text must be a token, 0 to 29, it is 30"),
        ({"logit_softcap": 0.0}, "logit_softcap must be above 0"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ROTARY, **changes)


def test_what_nothing_reads_is_no_difference() -> None:
    plain = dataclasses.replace(LEARNED, document_mask=False, ngram=1)
    assert dataclasses.replace(plain, window=24, end_of_text=5).canonical() == plain.canonical()
    assert dataclasses.replace(plain, window=5, window_pattern="L").canonical() == plain.canonical()
    assert plain.beyond_gpt2() == []
    switches = ["window=3", "window_pattern=SL", "document_mask=True", "end_of_text=0", "logit_softcap=2.0"]
    assert ROTARY.beyond_gpt2()[-5:] == switches
