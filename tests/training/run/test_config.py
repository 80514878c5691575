"""The settings of a run: what the command line, a preset and a file make of them."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.config import DataConfig, TrainConfig, as_json, differences, from_json
from gpt_from_scratch.training.run.command_line import parse, read_config
from gpt_from_scratch.training.run.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name: str) -> None:
    config = PRESETS[name][1]
    assert config.preset == name
    assert from_json(as_json(config)) == config


def test_a_setting_changes_the_preset_it_stands_behind() -> None:
    config = parse(["shakespeare-char", "--model.n-layer", "2", "--optimizer.betas", "0.8", "0.9"]).train
    assert config.model.n_layer == 2
    assert config.optimizer.betas == (0.8, 0.9)
    assert replace(config.model, n_layer=3) == PRESETS["shakespeare-char"][1].model


def test_without_a_preset_it_is_tiny() -> None:
    assert parse([]).train == PRESETS["tiny"][1]


def test_a_preset_of_no_name_asks_for_the_nearest() -> None:
    with pytest.raises(ValueError, match="no preset 'shakespear'; there are tiny, .*Did you mean 'shakespeare-char'"):
        parse(["shakespear"])


def test_a_setting_of_no_name_asks_for_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(["--model.n-layr", "3"])
    assert stopped.value.code == 2
    assert "Did you mean" in (printed := capsys.readouterr().err)
    assert "--model.n-layer" in printed


def test_help_teaches_presets_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*PRESETS, "--resume", "--dry-run", "--backend", "--data.path", "fastest"))


def test_data_is_short_for_a_source_or_a_path() -> None:
    assert parse(["--data", "stories"]).train.data == PRESETS["tiny"][1].data
    for words in (["--data", "my.txt"], ["--data=my.txt"], ["--data.path", "my.txt"]):
        data = parse(words).train.data
        assert (data.source, data.path) == ("text", Path("my.txt"))


def test_data_by_the_name_of_a_data_set_is_its_shards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GPT_DATA_DIR", raising=False)
    data = parse(["gpt2-124m", "--data", "fineweb-edu"]).train.data
    assert (data.source, data.path) == ("shards", Path("data/fineweb-edu"))
    assert data == PRESETS["gpt2-124m"][1].data
    monkeypatch.setenv("GPT_DATA_DIR", str(tmp_path))
    for name, options in (("fineweb-edu", ""), ("tinystories", " --tokenizer bpe --vocab-size 4096")):
        arguments = ["gpt2-124m", f"--data={name}", "--run.folder", str(tmp_path / "runs"), "--device", "cpu"]
        assert train_gpt2.main(arguments) == 2
        error = capsys.readouterr().err
        assert f"gpt prepare {name}{options}" in error
        assert "--out" not in error
    elsewhere = tmp_path / "elsewhere" / "fineweb-edu"
    arguments = ["gpt2-124m", "--data.path", str(elsewhere), "--run.folder", str(tmp_path / "runs"), "--device", "cpu"]
    assert train_gpt2.main(arguments) == 2
    assert f"prepare fineweb-edu --out {elsewhere}" in capsys.readouterr().err


def test_a_source_that_needs_a_path_says_so() -> None:
    with pytest.raises(ValueError, match="needs --data.path"):
        TrainConfig(data=DataConfig(source="shards"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": "many"}, "steps is 'many', expected int"),
        ({"stepz": 3}, "unknown setting stepz"),
        ({"model": 5}, "model.* should be an object"),
        ({"dtype": "fp8"}, "dtype is 'fp8'"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": True}, "steps is True, expected int"),
    ],
)
def test_a_damaged_config_names_the_setting(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(as_json(TrainConfig()) | change)


def test_a_setting_that_an_older_release_lacked_takes_its_default() -> None:
    document = as_json(PRESETS["tiny"][1])
    del document["model"]["ngram"], document["optimizer"]["embed_lr"]
    expected = replace(PRESETS["tiny"][1].optimizer, embed_lr=None)
    assert from_json(document).optimizer == expected and from_json(document).model.ngram == 1


def test_a_config_file_that_is_none_names_itself(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        read_config(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json.*JSON"):
        read_config(tmp_path / "config.json")


def test_differences_are_the_settings_that_decide_losses() -> None:
    config = TrainConfig()
    assert differences(config, replace(config, backend="torch", run=replace(config.run, log_every=1))) == []
    changed = replace(config, steps=5, optimizer=replace(config.optimizer, lr=1.0))
    assert differences(config, changed) == [
        "optimizer.lr: 0.0006 in the checkpoint, 1.0 asked for",
        "steps: 1000 in the checkpoint, 5 asked for",
    ]


@pytest.mark.parametrize("preset", ["tiny", "gpt2-124m"])
def test_a_switch_can_be_given_whatever_its_default_is(preset: str) -> None:
    """The same command must go on with the run that it began, whose saved settings are then the defaults."""
    assert parse([preset, "--compile", "--run.eval-first"]).train.compile
    assert parse([preset, "--compile", "--run.eval-first"]).train.run.eval_first
    assert not parse([preset, "--no-compile", "--run.no-eval-first"]).train.compile
    assert not parse([preset, "--no-compile", "--run.no-eval-first"]).train.run.eval_first


def test_a_limit_that_is_never_reached_is_saved_as_such() -> None:
    config = parse(["--run.timeout", "inf", "--run.patience", "inf", "--optimizer.grad-clip", "inf"]).train
    saved = json.loads(json.dumps(as_json(config), allow_nan=False))
    assert saved["run"]["timeout"] == saved["optimizer"]["grad_clip"] == "inf"
    assert from_json(saved) == config and config.run.timeout == math.inf
