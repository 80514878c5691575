"""Opening a checkpoint: from its run, from its folder, and not from anything else."""

import shutil
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE

STEP = "checkpoints/step-00000020"


@pytest.mark.parametrize("below", ["", "checkpoints", STEP, f"{STEP}/model"])
def test_a_run_its_checkpoint_and_its_model_are_the_same(folder: Path, checkpoint: OpenedModel, below: str) -> None:
    loaded = open_model(folder / below, device="cpu")
    assert loaded.name == "tiny-run-step-00000020"
    assert loaded.tokenizer.fingerprint == checkpoint.tokenizer.fingerprint
    assert torch.equal(loaded.model.wte.weight, checkpoint.model.wte.weight)
    assert not loaded.model.training


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model at .*config.json"):
        open_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="no model at .*runs/typo"):
        open_model("runs/typo")
    shutil.copytree(folder / STEP / "model", tmp_path / "m")
    (tmp_path / "m" / TOKENIZER_FILE).unlink()
    with pytest.raises(FileNotFoundError, match="--tokenizer"):
        open_model(tmp_path / "m")
    assert open_model(tmp_path / "m", device="cpu", tokenizer=folder / STEP / "model").name == "m"


def test_a_tokenizer_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    CharacterTokenizer("".join(map(chr, range(500)))).save(other)
    with pytest.raises(ValueError, match="501 tokens, but the model .* only 100"):
        open_model(folder, device="cpu", tokenizer=other)


@pytest.mark.parametrize("name", ["cpuu", "cuda:99"])
def test_an_unknown_device_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"no device '{name}' here"):
        open_model(folder, device=name)
