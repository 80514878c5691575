"""The model card says what the run's files say, in Markdown that nothing in them can break, and no path of the machine."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.training import PRESETS, train
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.config import DataConfig, RunConfig, TrainConfig, as_json
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.report.model_card import MOST_ROWS, model_card, without_paths
from gpt_from_scratch.training.report.run_data import Run
from gpt_from_scratch.training.run.command_line import read_config

MODEL = GPTConfig(block_size=8, vocab_size=9, n_layer=1, n_head=1, n_embd=8)


def card(
    evals: tuple[Eval, ...] = (),
    step: int = 100,
    config: dict[str, Any] | None = None,
    model: GPTConfig = MODEL,
    **facts: Any,
) -> str:
    settings = as_json(PRESETS["tiny"][1]) if config is None else config
    return model_card(Run(Path("runs/mine"), settings, facts, evals, ()), model, step)


def validated(*steps: int) -> tuple[Eval, ...]:
    return tuple(Eval(step, 5.0 - step / 1000, 1.5, None, 1.0, None) for step in steps)


def test_a_run_writes_its_card_into_each_checkpoint(tmp_path: Path) -> None:
    tiny = PRESETS["tiny"][1]
    config = dataclasses.replace(
        tiny,
        steps=2,
        batch_size=2,
        data=dataclasses.replace(tiny.data, n_stories=300, n_validation=4),
        model=dataclasses.replace(tiny.model, n_layer=1, n_head=2, n_embd=16),
        run=RunConfig(folder=tmp_path, name="mine", eval_every=1, checkpoint_every=1, n_final_samples=1),
    )
    folder = train(config)
    store = CheckpointStore(folder / "checkpoints")
    first, last = ((store.path_of(step) / "model" / "README.md").read_text(encoding="utf-8") for step in (1, 2))
    assert first.startswith("---\nlicense: unknown\nlibrary_name: transformers\n")
    assert "# mine" in last and "| step | 2 of 2 |" in last and "known exactly" in last
    assert "position=rotary" in last and "trust_remote_code=True" in last
    assert "| 0 | " in first and "| 1 | " not in first and "| 1 | " in last  # a run saves before it validates
    assert str(tmp_path) not in last


def test_a_resumed_run_knows_the_validations_before(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the robin sang to the fox. " * 200, encoding="utf-8")
    config = TrainConfig(
        steps=4,
        batch_size=2,
        model=dataclasses.replace(MODEL, vocab_size=GPTConfig().vocab_size),
        data=DataConfig(source="text", path=text, tokenizer="character"),
        run=RunConfig(folder=tmp_path, name="mine", eval_every=1, checkpoint_every=1, n_final_samples=1),
    )
    folder = train(config)
    final = CheckpointStore(folder / "checkpoints").path_of(4)
    shutil.rmtree(final)  # as if the run had been killed before it
    train(read_config(folder / "config.json"), resume=folder)
    last = (final / "model" / "README.md").read_text(encoding="utf-8")
    assert all(f"| {step} | " in last for step in range(4))
    assert "| data | text (text.txt) |" in last and str(tmp_path) not in last


def test_an_exact_gpt2_needs_no_trust() -> None:
    assert "trust" not in card() and "exactly that of the model type gpt2" in card()
    assert "GPT-2's, n\\_kv\\_head=1" in card(model=dataclasses.replace(MODEL, n_head=2, n_kv_head=1))


@pytest.mark.parametrize(
    "words, shown",
    [
        (["gpt train", "--data", "/home/me/secret/texts/"], ["gpt train", "--data", "texts"]),
        (["gpt train", "--data=/home/me/texts.txt"], ["gpt train", "--data=texts.txt"]),
        (["/usr/bin/train_gpt2.py", "~/runs/a"], ["train_gpt2.py", "a"]),
        (["x", r"C:\Users\me\data.txt", "file:///home/me/a b.txt"], ["x", "data.txt", "a b.txt"]),
        (["gpt train", "--backend", "attention=torch", "--data", "texts/a.txt", "/"], None),
    ],
)
def test_paths_of_the_machine_are_cut(words: list[str], shown: list[str] | None) -> None:
    assert without_paths(words) == (shown or words)
    if shown is not None:
        assert "me/" not in card(command=words) and "Users" not in card(command=words)


def test_many_validations_are_thinned_to_some_with_the_best_and_the_last() -> None:
    evals = validated(*range(0, 1000, 10))
    best = dataclasses.replace(evals[33], loss=0.1234)
    text = card((*evals[:33], best, *evals[34:]), step=2000)
    rows = [line for line in text.splitlines() if line.endswith(" | 1.5000 |")]
    assert len(rows) <= MOST_ROWS + 1
    assert "| 330 | 0.1234 | 1.5000 |" in rows and rows[-1].startswith("| 990 | ")
    assert "times the floor" not in text


def test_what_came_after_the_checkpoint_is_left_out() -> None:
    assert "| 20 | " not in card(validated(10, 20), step=10)


def test_a_licence_is_an_identifier() -> None:
    run = Run(Path("mine"), {}, {}, (), ())
    assert model_card(run, MODEL, 1, "apache-2.0").startswith("---\nlicense: apache-2.0\n")
    with pytest.raises(ValueError, match="expected an identifier such as mit"):
        model_card(run, MODEL, 1, "mit\ntags: evil")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=5), scalars, max_size=3)
NAMES = ("name", "command", "versions", "parameters", "floor_nats_per_token", "tokens_per_step", "device")
SETTINGS = ("data", "optimizer", "init_from", "steps", "seed", "preset")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    facts=st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, json_values)),
    config=st.fixed_dictionaries({}, optional=dict.fromkeys(SETTINGS, json_values)),
)
def test_whatever_the_files_hold_the_card_keeps_its_form(facts: dict[str, Any], config: dict[str, Any]) -> None:
    text = card(validated(1), config=config, **facts)
    lines = text.splitlines()
    assert lines[:7] == [*card().splitlines()[:7]]
    assert [line for line in lines if line.startswith("## ")] == ["## How it was trained", "## How good it is"]
    assert sum(line.startswith("# ") for line in lines) == 1
