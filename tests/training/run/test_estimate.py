"""FLOPs, memory and schedule against known figures."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.models.gpt import GPT, GPT2_SIZES, GPTConfig
from gpt_from_scratch.training.data.building import vocabulary
from gpt_from_scratch.training.optim.schedule import ScheduleConfig, rate
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.estimate import estimate, flops_a_token, matrix_parameters, peak_flops
from gpt_from_scratch.training.run.presets import PRESETS
from gpt_from_scratch.training.run.session import fitted
from tests.training.trained import train

GPT2_124M = 124_439_808  # parameters, as Hugging Face counts them


def test_gpt2_needs_855_mflop_a_token() -> None:
    """nanoGPT's figure, whose N also counts norms and biases."""
    assert flops_a_token(GPT2_SIZES["gpt2"]) == pytest.approx(855e6, rel=2e-3)


def test_a_layer_with_a_window_attends_to_no_more() -> None:
    config = GPTConfig(n_layer=4, window=256)  # SSSL
    saved = flops_a_token(dataclasses.replace(config, window=None)) - flops_a_token(config)
    assert saved == 12 * 768 * 3 * (1024 - 256)


@pytest.mark.parametrize(
    "config",
    [
        GPTConfig(n_layer=2),
        GPTConfig(n_layer=2, n_kv_head=4, tie_head=False, bias=False),
        GPTConfig(n_layer=2, activation="swiglu", mlp_width=1000, head_dim=40, position="rotary"),
    ],
)
def test_matrix_parameters_are_the_matrices(config: GPTConfig) -> None:
    with torch.device("meta"):
        model = GPT(config)
    embedding = () if config.tie_head else ("wte.weight",)
    counted = sum(p.numel() for n, p in model.named_parameters() if p.ndim == 2 and n not in ("wpe.weight", *embedding))
    assert matrix_parameters(config) == counted


def test_the_dry_run_of_gpt2_has_its_known_figures() -> None:
    made = estimate(PRESETS["gpt2-124m"][1], 8, torch.device("cpu"), torch.float32)
    assert made.parameters == GPT2_124M
    assert made.checkpoint == 3 * 4 * GPT2_124M  # weights and two moments
    assert made.tokens == pytest.approx(10e9, rel=1e-3)
    assert made.seconds > 0
    assert made.flops_a_token == pytest.approx(855e6, rel=2e-3)  # nanoGPT's estimate_mfu
    assert made.flops == made.flops_a_token * made.tokens
    # fp32 weights and gradients, and AdamW's two moments: 16 bytes a parameter.
    assert (made.weights, made.gradients, made.optimizer) == (4 * GPT2_124M, 4 * GPT2_124M, 8 * GPT2_124M)
    assert made.memory - made.activations == 16 * GPT2_124M == 1_991_036_928


def test_the_dry_run_of_the_modern_preset() -> None:
    """Untied head, no positions, no biases: 12 · 12 · 768² of matrices, two tables of 50,257 rows, norms' weights."""
    config = PRESETS["gpt2-124m-modern"][1]
    made = estimate(config, 8, torch.device("cpu"), torch.float32)
    hidden, tables, norms = 12 * 12 * 768**2, 2 * 50_257 * 768, 25 * 768
    assert made.parameters == hidden + tables + norms == 162_148_608
    # Muon keeps one moment of the hidden matrices, AdamW two of the rest.
    assert made.optimizer == 4 * (hidden + 2 * (tables + norms))
    assert made.flops_a_token == 6 * (hidden + tables / 2) + 12 * 12 * 768 * 1024


def test_the_dry_run_prints_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """The command of the README, from its arguments to its lines."""
    train(parse(["gpt2-124m", "--data", "fineweb-edu", "--dry-run", "--device", "cpu"]), Ranks())
    printed = capsys.readouterr().out
    assert "124,439,808" in printed
    assert "9,999,745,024 in 19,073 steps of 524,288" in printed
    assert "854.4 M per token" in printed


VOCABULARIES = {"tiny": 1700, "chat": 560, "shakespeare-char": 66, "shakespeare-char-long": 66, "tinystories": 4096}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_dry_run_counts_the_vocabulary_that_the_run_will_have(
    preset: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where the data is not on this machine yet."""
    monkeypatch.setenv("GPT_DATA_DIR", str(tmp_path))
    config = parse([preset]).train
    if config.data.source == "shards":
        config = dataclasses.replace(
            config, data=dataclasses.replace(config.data, path=tmp_path / config.data.path.name)
        )
    wanted = VOCABULARIES.get(preset, 50_257)
    assert fitted(config, vocabulary(config.data)).model.vocab_size == wanted


def test_the_dry_run_counts_what_the_run_has(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A character tokenizer's ids, and a byte pair encoding that the text is too short for."""
    for number, more in enumerate(([], ["--data.tokenizer", "bpe"], ["--model.vocab-size", "50257"])):
        train(parse([*arguments, *more, "--dry-run"]), Ranks())
        told = re.search(r"parameters +([\d,]+)", capsys.readouterr().out)
        train(parse([*arguments, *more, "--steps", "1", "--run.name", str(number)]), Ranks())
        ran = json.loads((tmp_path / "runs" / str(number) / "run.json").read_text())["parameters"]
        assert told is not None and int(told[1].replace(",", "")) == ran
    assert json.loads((tmp_path / "runs" / "2" / "config.json").read_text())["model"]["vocab_size"] == 50_257
    capsys.readouterr()
    train(parse(["--resume", str(tmp_path / "runs" / "2")]), Ranks())  # goes on with the table that was asked for
    assert "vocabulary 50,257" in capsys.readouterr().out


def test_slices_and_trees_are_counted() -> None:
    config = dataclasses.replace(PRESETS["gpt2-124m"][1], batch_size=64, micro_batch=1)
    ddp, fsdp, tree = (
        estimate(dataclasses.replace(config, parallel=kind), 8, torch.device("cpu"), torch.float32)
        for kind in ("ddp", "fsdp", "deterministic")
    )
    assert (8 * fsdp.weights, 8 * fsdp.gradients, 8 * fsdp.optimizer) == (ddp.weights, ddp.gradients, ddp.optimizer)
    assert tree.gradients == 5 * ddp.gradients  # sums of 1, 2, 4 and 8 micro-batches, and what is received
    assert fsdp.checkpoint == ddp.checkpoint


def test_the_peak_of_an_unknown_device_is_unknown() -> None:
    assert peak_flops(torch.device("cpu"), torch.bfloat16) is None


@given(st.builds(ScheduleConfig, st.integers(0, 50), st.floats(0, 1), st.floats(0, 1)), st.integers(1, 200), st.data())
def test_the_rate_stays_between_its_ends(config: ScheduleConfig, steps: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < rate(config, step, steps) <= 1 + 1e-12


def test_the_rate_rises_stays_and_falls() -> None:
    config = ScheduleConfig(warmup_steps=4, decay_fraction=0.5, final_fraction=0.1)
    rates = [rate(config, step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:51] == [1.0] * 46
    assert rates[51:] == sorted(rates[51:], reverse=True)
    assert rates[-1] == pytest.approx(0.1 + 0.9 / 50)
