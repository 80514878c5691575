"""The parity rule itself: it must catch seeded faults, and every op must have cases that really run."""

from typing import Any

import pytest
import torch

from gpt_from_scratch.kernels.ops.add_layer_norm import add_layer_norm
from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm
from gpt_from_scratch.kernels.ops.linear_cross_entropy import linear_cross_entropy
from gpt_from_scratch.kernels.ops.linear_cross_entropy.torch_backend import FEW_LOGITS
from gpt_from_scratch.kernels.proof.parity import check_parity
from gpt_from_scratch.kernels.registry import Op, load_ops


def attention_mutant(function):
    """A backend with all of the op's parameters, of a function that takes them as options."""

    def mutant(
        q, k, v, *, causal=True, scale=None, kv_lengths=None, documents=None, window=None, softcap=None, sinks=None
    ):
        options = {"causal": causal, "scale": scale, "kv_lengths": kv_lengths, "documents": documents}
        return function(q, k, v, **options, window=window, softcap=softcap, sinks=sinks)

    mutant.__name__ = function.__name__
    return mutant


@attention_mutant
def attention_start_aligned(q, k, v, causal, scale, **options):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale, enable_gqa=True)


@attention_mutant
def attention_off_by_one(q, k, v, **options):
    return attention.reference(q, torch.roll(k, 1, 2), v, **options)


@attention_mutant
def attention_wrong_scale(q, k, v, **options):
    return attention.reference(q, k, v, **{**options, "scale": 1 / q.shape[-1] ** 0.49})


@attention_mutant
def attention_acausal(q, k, v, **options):
    return attention.reference(q, k, v, **{**options, "causal": False})


@attention_mutant
def attention_ignores_lengths(q, k, v, **options):
    return attention.reference(q, k, v, **{**options, "kv_lengths": None})


@attention_mutant
def attention_detached_values(q, k, v, **options):
    return attention.reference(q, k, v.detach() + 0 * v, **options)


@attention_mutant
def attention_leaks_one_key(q, k, v, documents, **options):
    """The last key of a document belongs to the next."""
    documents = torch.cat([documents[:, 1:], documents[:, -1:]], dim=1)
    return attention.reference(q, k, v, documents=documents, **options)


@attention_mutant
def attention_window_off_by_one(q, k, v, window, **options):
    return attention.reference(q, k, v, window=window + 1, **options)


@attention_mutant
def attention_cap_is_straight(q, k, v, softcap, **options):
    """The cap without its derivative."""
    q, scale = q.double(), options["scale"] or q.shape[-1] ** -0.5

    class Cap(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return softcap * torch.tanh(x / softcap)

        @staticmethod
        def backward(ctx, grad):
            return grad

    scores = Cap.apply(q @ k.double().mT * scale)
    visible = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return (scores.masked_fill(~visible, float("-inf")).softmax(-1) @ v.double()).to(v.dtype)


@attention_mutant
def attention_ignores_the_cap(q, k, v, **options):
    return attention.reference(q, k, v, **{**options, "softcap": None})


@attention_mutant
def attention_sinks_are_fixed(q, k, v, sinks, **options):
    return attention.reference(q, k, v, sinks=sinks.detach(), **options)


def layer_norm_unbiased(x, weight, bias, eps=1e-5):
    wide = x.float()
    out = (wide - wide.mean(-1, keepdim=True)) * torch.rsqrt(wide.var(-1, keepdim=True) + eps) * weight
    return (out if bias is None else out + bias).to(x.dtype)


def layer_norm_no_bias(x, weight, bias, eps=1e-5):
    return layer_norm.reference(x, weight, None if bias is None else 0 * bias, eps)


def layer_norm_missing_term(x, weight, bias, eps=1e-5):
    rstd = torch.rsqrt(x.float().var(-1, unbiased=False, keepdim=True) + eps).detach()  # no gradient through the scale
    out = (x.float() - x.float().mean(-1, keepdim=True)) * rstd * weight
    return (out if bias is None else out + bias).to(x.dtype)


def loss_mutant(function):
    """As `attention_mutant`, of the loss."""

    def mutant(
        hidden,
        weight,
        targets,
        *,
        ignore_index=-100,
        reduction="mean",
        token_weights=None,
        label_smoothing=0.0,
        z_loss=0.0,
        softcap=None,
    ):
        options = {"ignore_index": ignore_index, "reduction": reduction, "token_weights": token_weights}
        terms = {"label_smoothing": label_smoothing, "z_loss": z_loss, "softcap": softcap}
        return function(hidden, weight, targets, **options, **terms)

    mutant.__name__ = function.__name__
    return mutant


@loss_mutant
def loss_counts_ignored(hidden, weight, targets, reduction, **options):
    total = linear_cross_entropy.reference(hidden, weight, targets, reduction="sum", **options)
    return total / max(1, targets.numel()) if reduction == "mean" else total


@loss_mutant
def loss_shifted(hidden, weight, targets, **options):
    return linear_cross_entropy.reference(hidden, weight, torch.roll(targets, 1), **options)


@loss_mutant
def loss_counts_weights(hidden, weight, targets, reduction, **options):
    """The mean of the weighted losses by their number, not their weight."""
    total = linear_cross_entropy.reference(hidden, weight, targets, reduction="sum", **options)
    return total / (targets != options["ignore_index"]).sum() if reduction == "mean" else total


@loss_mutant
def loss_weights_are_fixed(hidden, weight, targets, token_weights, **options):
    return linear_cross_entropy.reference(hidden, weight, targets, token_weights=token_weights.detach(), **options)


@loss_mutant
def loss_smooths_the_others(hidden, weight, targets, label_smoothing, **options):
    """The share of the target itself goes to the others alone."""
    others = label_smoothing * len(weight) / (len(weight) - 1)
    return linear_cross_entropy.reference(hidden, weight, targets, label_smoothing=others, **options)


@loss_mutant
def loss_z_is_a_constant(hidden, weight, targets, z_loss, **options):
    """The z-loss without its gradient."""
    plain = linear_cross_entropy.reference(hidden, weight, targets, **options)
    with torch.no_grad():
        extra = linear_cross_entropy.reference(hidden, weight, targets, z_loss=z_loss, **options) - plain
    return plain + extra


@loss_mutant
def loss_ignores_the_cap(hidden, weight, targets, **options):
    return linear_cross_entropy.reference(hidden, weight, targets, **{**options, "softcap": None})


# A mutant that changes less than bf16 can show (an unbiased variance at width 97 is 0.5 %) must be caught in fp32.
MUTANTS = [
    (attention, attention_start_aligned, "causal-113-of-203", torch.bfloat16),
    (attention, attention_off_by_one, "causal-t97", torch.bfloat16),
    (attention, attention_wrong_scale, "causal-t97", torch.float32),
    (attention, attention_acausal, "causal-t1024", torch.bfloat16),
    (attention, attention_ignores_lengths, "ragged", torch.bfloat16),
    (attention, attention_detached_values, "causal-t97", torch.bfloat16),
    (attention, attention_leaks_one_key, "documents", torch.bfloat16),
    (attention, attention_leaks_one_key, "documents-full", torch.float32),
    (attention, attention_window_off_by_one, "window-2", torch.bfloat16),
    (attention, attention_window_off_by_one, "window-64", torch.float32),
    (attention, attention_cap_is_straight, "softcap", torch.bfloat16),
    (attention, attention_ignores_the_cap, "softcap", torch.bfloat16),
    (attention, attention_sinks_are_fixed, "sinks", torch.bfloat16),
    (layer_norm, layer_norm_unbiased, "width-97", torch.float32),
    (layer_norm, layer_norm_no_bias, "width-768", torch.bfloat16),
    (layer_norm, layer_norm_missing_term, "width-768", torch.float32),
    (linear_cross_entropy, loss_counts_ignored, "mean-some-ignored", torch.bfloat16),
    (linear_cross_entropy, loss_shifted, "vocabulary-65", torch.bfloat16),
    (linear_cross_entropy, loss_counts_weights, "mean-weights", torch.bfloat16),
    (linear_cross_entropy, loss_weights_are_fixed, "mean-weights", torch.bfloat16),
    (linear_cross_entropy, loss_smooths_the_others, "mean-smoothing", torch.float32),
    (linear_cross_entropy, loss_z_is_a_constant, "mean-z-loss", torch.float32),
    (linear_cross_entropy, loss_ignores_the_cap, "mean-softcap", torch.bfloat16),
]


@pytest.mark.parametrize(
    ("made", "mutant", "case_name", "dtype"), MUTANTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_seeded_fault_is_caught(
    made: Op[Any], mutant: Any, case_name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "backends", dict(made.backends))
    monkeypatch.setattr(made, "_missing", {})
    made.backend("mutant")(mutant)
    case = next(case for case in made.cases() if case.name == case_name)
    for checked in {dtype, torch.float32}:
        with pytest.raises(AssertionError, match="error"):
            check_parity(made, "mutant", case, checked, "cpu")


# What is summed over rows, as parts whose gradients autograd adds in the activations' dtype: the accumulator of a bad kernel.
def norm_in_parts(x, weight, bias, eps=1e-5):
    narrow = [p.to(x.dtype) for p in (weight, bias)]
    return torch.cat([layer_norm.reference(part, *narrow, eps) for part in x.split(4)])


def add_norm_in_parts(x, residual, weight, bias, eps=1e-5):
    total = x + residual
    return norm_in_parts(total, weight, bias, eps), total


@attention_mutant
def attention_in_parts(q, k, v, causal, **options):
    assert not causal and options["kv_lengths"] is None
    return torch.cat([attention.reference(part, k, v, causal=False, **options) for part in q.split(2, dim=2)], dim=2)


@loss_mutant
def loss_in_parts(hidden, weight, targets, **options):
    narrow = weight.to(hidden.dtype)
    parts = zip(hidden.split(1), targets.split(1), strict=True)
    return sum(linear_cross_entropy.reference(h, narrow, t, reduction="sum") for h, t in parts) / len(targets)


@loss_mutant
def loss_summed_in_half(hidden, weight, targets, **options):
    losses = linear_cross_entropy.reference(hidden, weight, targets, **{**options, "reduction": "none"})
    total = torch.zeros((), dtype=hidden.dtype)
    for loss in losses:
        total = total + loss.to(hidden.dtype)
    return (total / len(losses)).float()


@pytest.mark.parametrize(
    ("made", "mutant", "case_name", "what"),
    [
        (layer_norm, norm_in_parts, "rows-8192", "grad weight: error.*grad bias: error"),
        (add_layer_norm, add_norm_in_parts, "rows-8192", "grad weight: error.*grad bias: error"),
        (attention, attention_in_parts, "full-1024-of-1023", "grad v: error"),
        (linear_cross_entropy, loss_in_parts, "many-rows", "grad weight: error"),
        (linear_cross_entropy, loss_summed_in_half, "many-rows", "output: error"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_accumulator_in_half_precision_is_caught(
    made: Op[Any], mutant: Any, case_name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is off by several percent, which a rule that grows with Σ |term| lets pass."""
    monkeypatch.setattr(made, "backends", dict(made.backends))
    monkeypatch.setattr(made, "_missing", {})
    made.backend("mutant")(mutant)
    case = next(case for case in made.cases() if case.name == case_name)
    check_parity(made, "mutant", case, torch.float32, "cpu")  # the parts themselves are right
    with pytest.raises(AssertionError, match=what):
        check_parity(made, "mutant", case, torch.bfloat16, "cpu")


def test_norms_on_a_cpu_add_their_gradients_in_fp32() -> None:
    """torch's kernel adds them over the rows in the activations' dtype: 8192 rows were 8 to 20 % off."""
    generator = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn(8192, 128, generator=generator).bfloat16() for _ in range(2))
    for made in (layer_norm, add_layer_norm):
        for kept in (torch.float32, torch.bfloat16):
            found = []
            for backend, dtype in (("torch", torch.bfloat16), ("reference", torch.float64)):
                parameters = [torch.ones(128).to(kept).to(torch.promote_types(dtype, kept)) for _ in range(2)]
                leaves = [parameter.requires_grad_() for parameter in parameters]
                inputs = [x.to(dtype)] * (2 if made is add_layer_norm else 1)
                out = made(*inputs, *leaves, backend=backend)
                out = out[0] if isinstance(out, tuple) else out
                found.append(torch.autograd.grad(out, leaves, upstream.to(dtype)))
            for got, truth in zip(*found, strict=True):
                assert (got.double() - truth).norm() < torch.finfo(torch.bfloat16).eps * truth.norm()


@pytest.mark.parametrize("made", load_ops().values(), ids=lambda made: made.name)
def test_every_op_has_cases_and_a_second_backend_that_runs_here(made: Op[Any]) -> None:
    names = [case.name for case in made.cases()]
    assert len(names) > 10
    assert len(set(names)) == len(names)
    assert any(made.why_not(name, "cpu") is None for name in made.backends if name not in ("reference", "compiled"))


@pytest.mark.parametrize("made", load_ops().values(), ids=lambda made: made.name)
def test_the_reference_has_the_gradient_it_claims(made: Op[Any]) -> None:
    """gradcheck of the definition itself, in fp64, on its small cases."""
    checked = 0
    for case in made.cases():
        arguments = case.make(torch.Generator().manual_seed(0), torch.float64)
        leaves = {n: x for n, x in arguments.items() if isinstance(x, torch.Tensor) and x.is_floating_point()}
        if not 0 < sum(x.numel() for x in leaves.values()) < 3000 or len(leaves) < 2:
            continue

        def function(*values: torch.Tensor, arguments: Any = arguments, leaves: Any = leaves) -> Any:
            return made.reference(**{**arguments, **dict(zip(leaves, values, strict=True))})

        assert torch.autograd.gradcheck(
            function, [x.contiguous().requires_grad_() for x in leaves.values()], fast_mode=True
        )
        checked += 1
    assert checked


def test_the_loss_of_a_large_batch_takes_the_other_way_of_the_library() -> None:
    """Few logits are kept whole, many are written over: the generated cases must hold both."""
    sizes = [case.make(torch.Generator(), torch.float32) for case in linear_cross_entropy.cases()]
    logits = [a["targets"].numel() * len(a["weight"]) for a in sizes if a["reduction"] != "none"]
    assert min(logits) < FEW_LOGITS < max(logits)
