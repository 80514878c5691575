"""Muon against its definition, and the optimizers' state."""

import math
from typing import Literal

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.optim.algorithms.adamw import AdamW
from gpt_from_scratch.training.optim.algorithms.muon import Muon, newton_schulz, orthogonalize_
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.optimizers import (
    load_optimizer_tensors,
    make_optimizers,
    optimizer_tensors,
)

CONFIG = GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=2, n_embd=16, tie_head=False)


def model_with_gradients(seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    model = GPT(CONFIG)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


def orthogonalized(matrices: list[torch.Tensor]) -> list[torch.Tensor]:
    copies = [matrix.clone() for matrix in matrices]
    orthogonalize_(copies)
    return copies


def test_orthogonalized_keeps_the_singular_vectors_and_levels_the_values() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(24, 40)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalized([matrix])[0] @ v.T  # diagonal if the vectors are the same
    values = inner.diagonal()
    assert s.max() / s.min() > 5
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert (inner - values.diag()).abs().max() < 1e-4


def test_a_tall_matrix_is_its_transpose_scaled_by_its_shape() -> None:
    torch.manual_seed(0)
    wide = torch.randn(10, 40)
    made_wide, made_tall = orthogonalized([wide, wide.T.contiguous()])
    torch.testing.assert_close(made_tall, made_wide.T * math.sqrt(4))


def test_a_stack_gives_what_each_matrix_gives_alone() -> None:
    torch.manual_seed(0)
    matrices = [torch.randn(12, 20), torch.randn(20, 12), torch.randn(12, 12), torch.randn(12, 20)]
    for together, matrix in zip(orthogonalized(matrices), matrices, strict=True):
        torch.testing.assert_close(together, orthogonalized([matrix])[0])


def test_no_gradient_gives_no_direction() -> None:
    assert newton_schulz(torch.zeros(1, 4, 6)).abs().max() == 0


def test_one_step_of_muon_is_its_formula() -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(12, 8))
    before = weight.detach().clone()
    optimizer = Muon([{"params": [weight]}], lr=0.1, momentum=0.9, weight_decay=0.5)
    buffer = torch.zeros_like(before)
    for _ in range(2):
        weight.grad = torch.randn_like(weight)
        buffer = 0.9 * buffer + weight.grad
        before = before * (1 - 0.1 * 0.5) - 0.1 * orthogonalized([0.9 * buffer + weight.grad])[0]
        optimizer.step()
    torch.testing.assert_close(weight.detach(), before)


@pytest.mark.parametrize("bad", [None, 0.0, 1.0])
def test_adamw_is_torchs_to_the_last_bit(bad: float | None) -> None:
    ours, theirs = model_with_gradients(), model_with_gradients()
    group = {"lr": 3e-3, "weight_decay": 0.1}
    mine = AdamW([{"params": list(ours.parameters()), **group}], 1.0, (0.9, 0.95), 1e-8, 0.0)
    other = torch.optim.AdamW(theirs.parameters(), betas=(0.9, 0.95), eps=1e-8, fused=True, **group)
    for step in range(3):
        if step == 1 and bad is not None:
            mine.found_inf = other.found_inf = torch.tensor(bad)
        mine.step()
        other.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)
            assert all(torch.equal(mine.state[a][key], value) for key, value in other.state[b].items())
            a.grad, b.grad = a.sin(), b.sin()
    mine.load_state_dict(other.state_dict())  # the same state, and the same places for it
    mine.zero_grad()
    assert all(parameter.grad is None for parameter in ours.parameters())


def test_packed_queries_keys_and_values_are_three_matrices() -> None:
    torch.manual_seed(0)
    packed = torch.nn.Parameter(torch.zeros(24, 8))
    packed.grad = torch.randn_like(packed)
    Muon([{"params": [packed], "parts": [3]}], lr=1.0, momentum=0.0, weight_decay=0.0).step()
    for block, gradient in zip(packed.detach().chunk(3), packed.grad.chunk(3), strict=True):
        torch.testing.assert_close(block, -orthogonalized([gradient.contiguous()])[0])


@pytest.mark.parametrize(("activation", "parts"), [("swiglu", 2), ("gelu", 1)])
def test_a_gate_and_what_passes_through_it_are_two_matrices(activation: Literal["swiglu", "gelu"], parts: int) -> None:
    model = GPT(GPTConfig(16, 20, 1, 2, 32, activation=activation))
    (muon,) = [one for one in make_optimizers(model, OptimizerConfig(name="muon")) if isinstance(one, Muon)]
    (group,) = muon.param_groups
    assert dict(zip(group["names"], group["parts"], strict=True)) == {
        "h.0.attn.c_attn.weight": 3,
        "h.0.attn.c_proj.weight": 1,
        "h.0.mlp.c_fc.weight": parts,
        "h.0.mlp.c_proj.weight": 1,
    }


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_parameter_is_in_one_group_and_only_matrices_decay(name: str) -> None:
    model = GPT(CONFIG)
    optimizers = make_optimizers(model, OptimizerConfig(name=name))
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    names = [name for group in groups for name in group["names"]]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    for group in groups:
        assert all((parameter.ndim >= 2) == (group["weight_decay"] > 0) for parameter in group["params"])
    muon = {name for group in groups if "momentum" in group for name in group["names"]}
    assert muon == (
        {n for n in names if n.startswith("h.") and n.endswith("weight") and ".ln_" not in n}
        if name == "muon"
        else set()
    )


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_bad_gradient_changes_nothing(name: str) -> None:
    model = model_with_gradients()
    optimizers = make_optimizers(model, OptimizerConfig(name=name))

    def step(bad: float) -> None:
        for optimizer in optimizers:
            optimizer.found_inf = torch.tensor(bad)  # type: ignore[attr-defined]
            optimizer.step()

    def everything() -> dict[str, torch.Tensor]:
        tensors = {**dict(model.named_parameters()), **optimizer_tensors(optimizers)}
        return {key: value.detach().clone() for key, value in tensors.items()}

    step(0.0)
    before = everything()
    good = {name: p.grad for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, math.nan)
    step(1.0)
    after = everything()
    assert all(torch.equal(before[key], after[key]) for key in before)
    for key, parameter in model.named_parameters():
        parameter.grad = good[key]
    step(0.0)
    assert any(not torch.equal(before[key], value) for key, value in everything().items())


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_the_state_goes_on_to_the_last_bit(name: str) -> None:
    config = OptimizerConfig(name=name)
    models, states = [], {}
    for interrupted in (False, True):
        model = model_with_gradients()
        optimizers = make_optimizers(model, config)
        for step in range(4):
            if interrupted and step == 2:
                states = {key: value.clone() for key, value in optimizer_tensors(optimizers).items()}
                optimizers = make_optimizers(model, config)
                load_optimizer_tensors(optimizers, states)
            for optimizer in optimizers:
                optimizer.step()
        models.append(model)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_foreign_state_is_refused() -> None:
    model = model_with_gradients()
    optimizers = make_optimizers(model, OptimizerConfig(name="muon"))
    for optimizer in optimizers:
        optimizer.step()
    tensors = dict(optimizer_tensors(optimizers))
    fresh = make_optimizers(model, OptimizerConfig(name="muon"))
    with pytest.raises(ValueError, match=r"exp_avg\.wte\.weight should have shape \(11, 16\), found nothing"):
        load_optimizer_tensors(fresh, {k: v for k, v in tensors.items() if k != "exp_avg.wte.weight"})
    with pytest.raises(ValueError, match="should have shape"):
        load_optimizer_tensors(fresh, tensors | {"exp_avg.wte.weight": torch.zeros(3, 3)})
    with pytest.raises(ValueError, match="unknown parameters, e.g. momentum.other"):
        load_optimizer_tensors(fresh, tensors | {"momentum.other": torch.zeros(1)})


@pytest.mark.parametrize(
    "settings", [{"lr": 0.0}, {"lr": math.nan}, {"betas": (0.9, 1.0)}, {"momentum": 1.5}, {"grad_clip": -1.0}]
)
def test_settings_that_cannot_be_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"optimizer\.{next(iter(settings))}"):
        OptimizerConfig(**settings)


def test_muon_takes_matrices_only() -> None:
    with pytest.raises(ValueError, match=r"not a parameter of shape \(3,\)"):
        Muon([{"params": [torch.nn.Parameter(torch.zeros(3))]}], lr=0.1, momentum=0.9, weight_decay=0.0)
