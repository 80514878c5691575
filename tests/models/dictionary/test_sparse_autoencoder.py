"""Autoencoders on signals whose dictionary is known, and inside a GPT: what is read, and what is put in its place."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gpt_from_scratch.models.dictionary.gpt_sites import Spliced, batches, collect, edited, loss, sites, splice
from gpt_from_scratch.models.dictionary.matching import mean_max_cosine
from gpt_from_scratch.models.dictionary.sparse_autoencoder import (
    SparseAutoencoder,
    SparseAutoencoderConfig,
    learn_features,
    measure,
    replace_dead,
)
from gpt_from_scratch.models.dictionary.synthetic import add_noise, random_dictionary, sparse_codes
from gpt_from_scratch.models.gpt import GPT, GPTConfig

SMALL = SparseAutoencoderConfig(n_features=12, k=3, steps=60, batch_size=64, dead_after=10)
SEQUENCES = [[1, 2, 3, 4, 5], [6, 7], [8, 9, 10], [3, 1, 4, 1, 5, 9]]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["learned", "rotary"])
def gpt(request):
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=2, n_embd=8, position=request.param))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)  # so that every part matters
    return model.eval()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# the autoencoder


@pytest.mark.parametrize(("kind", "l1"), [("topk", 0.03), ("l1", 0.15)])
def test_a_known_dictionary_is_found(kind, l1):
    rng = generator()
    true = random_dictionary(64, 32, rng)
    signals = add_noise(sparse_codes(20_000, 64, (1, 3), rng).abs() @ true, rng, std=0.01)
    config = SparseAutoencoderConfig(n_features=64, kind=kind, k=3, l1=l1, steps=1200, batch_size=512)
    sae = learn_features(signals, config, rng)
    fidelity = measure(sae, signals)
    assert mean_max_cosine(true, sae.decoder.detach()) >= 0.95
    assert fidelity.dead <= 0.02
    assert fidelity.variance_explained > 0.85
    assert fidelity.l0 < 6


def test_topk_keeps_the_k_largest_codes():
    x = torch.randn(40, 6, generator=generator())
    sae = learn_features(x, SMALL)
    codes = sae.encode(x)
    dense = F.relu((x * sae.scale - sae.decoder_bias) @ sae.encoder.T + sae.encoder_bias)
    assert ((codes > 0).sum(dim=1) <= 3).all() and (codes >= 0).all()
    torch.testing.assert_close(codes.sum(dim=1), dense.topk(3, dim=1).values.sum(dim=1))
    torch.testing.assert_close(sae(x), (codes @ sae.decoder + sae.decoder_bias) / sae.scale)


@pytest.mark.parametrize("kind", ["topk", "l1"])
def test_directions_keep_unit_norm_and_a_run_repeats(kind):
    x = torch.randn(200, 6, generator=generator())
    first, second, other = (learn_features(x, replace(SMALL, kind=kind), generator(seed)) for seed in (1, 1, 2))
    torch.testing.assert_close(first.decoder.norm(dim=1), torch.ones(12))
    assert torch.equal(first.decoder, second.decoder) and not torch.equal(first.decoder, other.decoder)


def test_a_stronger_penalty_means_fewer_codes():
    x = torch.randn(500, 8, generator=generator())
    config = replace(SMALL, kind="l1", steps=200)
    weak, strong = (measure(learn_features(x, replace(config, l1=l1)), x) for l1 in (0.01, 1.0))
    assert strong.l0 < weak.l0 and strong.variance_explained < weak.variance_explained


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_neither_scale_nor_offset_of_the_activations_matters(scale):
    x = torch.randn(200, 6, generator=generator())
    usual = learn_features(x, SMALL)
    scaled = learn_features(x * scale + 3 * scale, SMALL)
    assert measure(scaled, x * scale + 3 * scale).variance_explained == pytest.approx(
        measure(usual, x).variance_explained, abs=0.02
    )


def test_the_figures_are_what_they_say():
    """Codes by hand: two of three features are used, two codes for the first activation, one for the others."""
    sae = SparseAutoencoder(3, SparseAutoencoderConfig(n_features=3, k=1, kind="l1"))
    with torch.no_grad():
        sae.encoder.copy_(torch.eye(3))
        sae.decoder.copy_(torch.eye(3))
    x = torch.tensor([[1.0, 1.0, 0.0], [2.0, 0.0, -1.0], [0.0, 3.0, 0.0]])
    fidelity = measure(sae, x)
    assert fidelity.l0 == pytest.approx(4 / 3) and fidelity.dead == pytest.approx(1 / 3)
    left, total = 1.0, float((x - x.mean(dim=0)).square().sum())
    assert fidelity.variance_explained == pytest.approx(1 - left / total)


def test_dead_features_take_the_direction_of_what_is_left():
    sae = SparseAutoencoder(4, SparseAutoencoderConfig(n_features=3, k=1))
    with torch.no_grad():
        sae.decoder.copy_(torch.eye(4)[:3])
        sae.encoder.copy_(5 * torch.eye(4)[:3])
    optimizer = torch.optim.Adam(sae.parameters())
    sae(torch.randn(5, 4, generator=generator())).sum().backward()
    optimizer.step()
    before = sae.decoder.detach().clone()
    left = torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 7.0]])
    replace_dead(sae, optimizer, torch.tensor([False, True, False]), left, generator())
    torch.testing.assert_close(sae.decoder[1], torch.tensor([0.0, 0, 0, 1]))
    torch.testing.assert_close(sae.encoder[1].norm(), 0.2 * sae.encoder[[0, 2]].norm(dim=1).mean(), rtol=1e-4, atol=0)
    assert torch.equal(sae.decoder[[0, 2]], before[[0, 2]])
    assert (optimizer.state[sae.decoder]["exp_avg"][1] == 0).all() and (
        optimizer.state[sae.decoder]["exp_avg"][0] != 0
    ).any()
    replace_dead(sae, optimizer, torch.tensor([True, True, True]), torch.zeros(2, 4), generator())
    assert sae.decoder.isfinite().all(), "nothing is left, so nothing is replaced"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(5, 4), "12 features cannot be learned from 5 activations"),
        (torch.ones(40, 4), "all the same"),
        (torch.full((40, 4), float("nan")), "NaN or infinity in 40 of 40"),
    ],
)
def test_learning_refuses_bad_input(x, message):
    with pytest.raises(ValueError, match=message):
        learn_features(x, SMALL)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"k": 13}, "only 12 features"), ({"l1": 0.0}, "l1 is 0.0"), ({"steps": 0}, "steps is 0")],
)
def test_config_refuses_bad_values(values, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **values)


# inside a GPT


def test_every_site_is_read_and_put_back_without_a_change(gpt):
    tokens = torch.tensor([SEQUENCES[3]])
    expected = gpt(tokens)
    for site in sites(gpt):
        with edited(gpt, site, lambda x: x.clone()):
            torch.testing.assert_close(gpt(tokens), expected, atol=1e-4, rtol=1e-4)
        with edited(gpt, site, torch.zeros_like):
            assert not torch.allclose(gpt(tokens), expected, atol=1e-2)
        assert torch.equal(gpt(tokens), expected), "nothing stays behind"


def test_the_stream_is_the_sum_of_all_that_was_added(gpt):
    parts = {site: collect(gpt, site, SEQUENCES) for site in sites(gpt)}
    stream = gpt.wte.weight[parts["h.0"].tokens]
    if gpt.wpe is not None:
        place = torch.cat([torch.arange(len(sequence)) for sequence in sorted(SEQUENCES, key=len)])
        stream = stream + gpt.wpe.weight[place]
    for layer in (0, 1):
        stream = stream + parts[f"h.{layer}.attn"].activations + parts[f"h.{layer}.mlp"].activations
        torch.testing.assert_close(parts[f"h.{layer}"].activations, stream, atol=1e-4, rtol=1e-4)


def test_where_branches_are_normed_last_a_site_is_what_is_added():
    torch.manual_seed(0)
    model = GPT(GPTConfig(16, 20, 2, 2, 16, norm="rms", norm_place="after", position="rotary", bias=False)).eval()
    tokens = torch.randint(20, (2, 9))
    added = []
    for part in ("attn", "mlp"):
        with edited(model, f"h.1.{part}", lambda x: added.append(x) or x):
            whole = model(tokens)
    with edited(model, "h.1", lambda x: added.append(x) or x), edited(model, "h.0", lambda x: added.append(x) or x):
        torch.testing.assert_close(model(tokens), whole)
    attention, mlp, before, after = added
    torch.testing.assert_close(before + attention + mlp, after)
    with edited(model, "h.1.mlp", torch.zeros_like):
        without = model(tokens)
    with torch.no_grad():
        model.h[1].ln_2.weight.zero_()
    torch.testing.assert_close(without, model(tokens))


def test_an_error_inside_leaves_the_model_as_it_was(gpt):
    tokens = torch.tensor([SEQUENCES[3]])
    expected = gpt(tokens)
    for site in ("h.0", "h.1.mlp"):
        with pytest.raises(RuntimeError, match="stop"), edited(gpt, site, torch.zeros_like):
            raise RuntimeError("stop")
        assert torch.equal(gpt(tokens), expected)


def test_collected_activations_do_not_depend_on_the_padding(gpt):
    together = collect(gpt, "h.1", SEQUENCES, rows=4)
    alone = [collect(gpt, "h.1", [sequence]) for sequence in sorted(SEQUENCES, key=len)]
    torch.testing.assert_close(
        together.activations, torch.cat([one.activations for one in alone]), atol=1e-4, rtol=1e-4
    )
    assert together.tokens.tolist() == [token for one in alone for token in one.tokens.tolist()]
    assert together.sequence.tolist() == [0] * 2 + [1] * 3 + [2] * 5 + [3] * 6
    assert sum(len(part) for part in batches(SEQUENCES, 3)) == 4


def test_the_loss_is_that_of_every_token_but_the_first(gpt):
    expected = [
        -torch.log_softmax(gpt(torch.tensor([s]))[0, :-1], dim=1)[range(len(s) - 1), s[1:]].sum() for s in SEQUENCES
    ]
    assert loss(gpt, SEQUENCES) == pytest.approx(sum(expected).item() / 12, rel=1e-4)


def test_what_a_perfect_and_an_empty_reconstruction_recover(gpt):
    for site in ("h.0", "h.1.mlp"):
        assert splice(gpt, site, lambda x: x.clone(), SEQUENCES).recovered == pytest.approx(1, abs=1e-3)
        assert splice(gpt, site, torch.zeros_like, SEQUENCES).recovered == pytest.approx(0, abs=1e-6)


def test_an_unknown_layer_and_an_empty_text_are_refused(gpt):
    with pytest.raises(ValueError, match=r"no layer 'h.2.mlp'.*N from 0 to 1; did you mean h.1.mlp\?"):
        collect(gpt, "h.2.mlp", SEQUENCES)
    with pytest.raises(ValueError, match="the text is empty"):
        collect(gpt, "h.1", [])
    with pytest.raises(ValueError, match="no sequence has two tokens"):
        loss(gpt, [[1], [2]])


@pytest.mark.parametrize(
    ("losses", "recovered", "means_nothing"),
    [
        ((1.0, 2.0, 3.0), 0.5, ""),
        ((1.0, 1.0, 3.0), 1.0, ""),
        ((1.0, 3.0, 3.0), 0.0, ""),
        ((1.0, 0.46, 3.0), 1.27, "better with the reconstruction"),
        ((1.0, 4.0, 3.0), -0.5, "worse than zeros"),
        ((3.0, 2.0, 3.0), None, "nothing to recover"),
        ((3.0, 2.0, 1.0), 0.5, "nothing to recover"),
        ((1.0, math.nan, 3.0), None, "not finite"),
        ((1.0, 2.0, math.inf), None, "not finite"),
    ],
)
def test_a_part_of_the_loss_says_where_it_means_nothing(losses, recovered, means_nothing):
    found = Spliced(*losses)
    assert found.recovered == pytest.approx(recovered) and means_nothing in found.meaningless
    assert bool(means_nothing) == bool(found.meaningless)


def test_first_tokens_can_be_left_as_they_are(gpt):
    """In the figures, and in both replacements of the splice."""
    found = collect(gpt, "h.0", SEQUENCES)
    assert found.first.sum() == len(SEQUENCES)
    assert sorted(found.tokens[found.first].tolist()) == sorted(sequence[0] for sequence in SEQUENCES)
    assert len(found.without_first().tokens) == sum(map(len, SEQUENCES)) - len(SEQUENCES)
    seen = []
    kept = splice(gpt, "h.0", lambda x: seen.append(x) or x.clone(), SEQUENCES, keep_first=True)
    assert {part.shape[1] for part in seen} == {max(map(len, SEQUENCES)) - 1}
    assert kept.spliced == pytest.approx(kept.clean) and kept.zero != splice(gpt, "h.0", lambda x: x, SEQUENCES).zero


@pytest.mark.parametrize(
    "activations", [torch.ones(9), torch.ones(9, 4, dtype=torch.int64), torch.ones(9, 4).half(), torch.ones(2, 3, 4)]
)
def test_activations_of_another_form_get_words(activations):
    with pytest.raises(ValueError, match=r"must be float32 or float64, one a row: they are torch\."):
        learn_features(activations, SMALL)
