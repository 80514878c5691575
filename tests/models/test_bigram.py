"""The ladder's model: what each stage can see, what it adds, and the parts it shares with the registry."""

import pytest
import torch
import torch.nn.functional as F

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.bigram import ADDS, STAGES, BigramConfig, BigramLanguageModel, has

SMALL = BigramConfig(vocab_size=11, block_size=6, n_embd=8, n_head=2, n_layer=2, dropout=0.5)


def model(stage, config=SMALL):
    torch.manual_seed(0)
    return BigramLanguageModel(config, stage)


def tokens(batch=3, length=6, seed=0):
    return torch.randint(SMALL.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_gives_logits_a_loss_and_gradients(stage):
    net, x, y = model(stage).eval(), tokens(), tokens(seed=1)
    logits = net(x)
    assert logits.shape == (3, 6, 11)
    loss = net(x, y)
    expected = -torch.log_softmax(logits, dim=2).gather(2, y[:, :, None]).mean()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_sees(stage):
    """A bigram sees the last token, with a position its place too, with attention all before it; never what comes after."""
    net, x = model(stage).eval(), tokens(1)
    logits = net(x)[0]
    for changed in range(6):
        other = x.clone()
        other[0, changed] = (x[0, changed] + 1) % SMALL.vocab_size
        differs = (net(other)[0] - logits).abs().amax(dim=1) > 1e-6
        expected = [place >= changed if has(stage, "head") else place == changed for place in range(6)]
        assert differs.tolist() == expected
    same = net(torch.full((1, 6), 4))[0]
    assert torch.allclose(same[0], same[5]) == (stage == "bigram"), "only the bigram is blind to the position"


def test_each_stage_adds_parameters_or_changes_what_they_do():
    counts = [model(stage).num_parameters() for stage in STAGES]
    # The bigram's table, then a narrow stream; several heads have the parameters of one, and dropout has none.
    c, v, t = 8, 11, 6
    one_layer = 3 * c * c
    position = v * c + t * c + c * v + v
    assert counts[:4] == [v * v, position, position + one_layer, position + one_layer]
    assert counts[4] == counts[3] + c * c + c
    assert counts[5] == position + 2 * (one_layer + c * c + c)
    attention, feed_forward = one_layer + c * c + c, 8 * c * c + 5 * c
    assert counts[6] == position + 2 * (attention + feed_forward)
    assert counts[7] == counts[8] == counts[6] + 5 * 2 * c
    assert list(ADDS) == list(STAGES)


def test_the_bigram_is_its_table():
    net, x = model("bigram"), tokens()
    assert torch.equal(net(x), net.wte.weight[x])


def test_one_head_is_softmax_attention_written_out():
    net, x = model("head"), tokens(1)
    embedded = net.wte(x)[0] + net.wpe.weight
    q, k, v = net.h[0].inner.c_attn(embedded).split(8, dim=1)
    weights = torch.zeros(6, 6)
    for query in range(6):
        scores = (k[: query + 1] @ q[query]) / 8**0.5
        weights[query, : query + 1] = torch.softmax(scores, dim=0)
    torch.testing.assert_close(net(x)[0], net.lm_head(weights @ v))


def test_dropout_works_while_training_only_and_only_at_the_last_stage():
    x = tokens()
    for stage in ("layernorm", "dropout"):
        net = model(stage)
        assert torch.equal(net(x), net(x)) == (stage == "layernorm")
        net.eval()
        assert torch.equal(net(x), net(x))


def test_the_registry_computes_attention_and_the_norms():
    net, x = model("dropout").eval(), tokens()
    with use_backend("reference"):
        expected = net(x)
    with use_backend("torch"):
        torch.testing.assert_close(net(x), expected, atol=1e-5, rtol=1e-4)


def test_generation_is_seeded_and_slides_over_the_context():
    net = model("dropout").eval()
    start = torch.tensor([[1], [2]])
    first, second = (net.generate(start, 20, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.shape == (2, 21) and torch.equal(first, second) and torch.equal(first[:, :1], start)
    assert not torch.equal(first, net.generate(start, 20, torch.Generator().manual_seed(4)))


def test_generation_follows_the_distribution():
    """A bigram whose table leaves one choice a token walks through the tokens in order."""
    net = model("bigram")
    with torch.no_grad():
        net.wte.weight.copy_(100.0 * F.one_hot((torch.arange(11) + 1) % 11, 11))
    generated = net.generate(torch.tensor([[9]]), 5, torch.Generator().manual_seed(0))
    assert generated[0].tolist() == [9, 10, 0, 1, 2, 3]


def test_bad_sizes_and_long_inputs_are_refused():
    with pytest.raises(ValueError, match="7 tokens do not fit the context of 6"):
        model("head")(tokens(length=7))
    for values, message in [
        ({"n_embd": 10, "n_head": 4}, "n_head 4 must divide n_embd 10"),
        ({"n_layer": 0}, "n_layer must be at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ]:
        with pytest.raises(ValueError, match=message):
            BigramConfig(**values)
