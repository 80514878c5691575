"""The one door to a trained model: every byte of a checkpoint is proven, wherever the model is asked for."""

import importlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.evals.providers.local_checkpoint import LocalCheckpointProvider
from gpt_from_scratch.evals.scoring.command_line import bits_per_byte
from gpt_from_scratch.evals.serve import __main__ as serve_command
from gpt_from_scratch.models.checkpoints import manifest, opening
from gpt_from_scratch.models.checkpoints.checkpoint import DamagedCheckpointError
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.interchange import pretrained
from gpt_from_scratch.support.devices import choose_device
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.commands import attention, features, generate
from tests.models.checkpoints.conftest import CONFIG, TOKENIZER
from tests.training.checkpoints.test_damage import FILES, HARM, flip


def by_generate(source: Path) -> None:
    generate.main([str(source), "--num", "1", "--max-tokens", "1", "--device", "cpu"])


def by_bits_per_byte(source: Path) -> None:
    text, out = (
        next(path for path in source.parents if (path / "text.txt").exists()) / "text.txt",
        source.parent / "out",
    )
    bits_per_byte(["--checkpoint", str(source), "--data", str(text), "--device", "cpu", "--out", str(out)])


def by_serve(source: Path) -> None:
    serve_command.main(["--checkpoint", str(source), "--device", "cpu", "--port", "0"])


def by_lm_eval(source: Path) -> None:
    """As `lm_eval.simple_evaluate(model="gpt_from_scratch", model_args=…)` does."""
    from lm_eval.api.registry import get_model

    importlib.import_module("gpt_from_scratch.evals.harness.lm_eval_adapter")
    get_model("gpt_from_scratch").create_from_arg_string(f"checkpoint={source}", {"device": "cpu"})


def by_local(source: Path) -> None:
    LocalCheckpointProvider(source, device="cpu").fingerprint()


def by_attention(source: Path) -> None:
    attention.main([str(source), "--out", str(source.parent / "out"), "--text", "Tom"])


def by_autoencoder(source: Path) -> None:
    features.main([str(source), "--out", str(source.parent / "out"), "--n-tokens", "200"])


def by_open_model(source: Path) -> None:
    open_model(source, device="cpu")


DOORS: list[Callable[[Path], None]] = [by_generate, by_bits_per_byte, by_serve, by_local, by_attention, by_autoencoder]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_flipped_byte_in_any_file_is_named_at_every_door(run: Path, door: Callable[[Path], None], name: str) -> None:
    is_named(run, door, name)


@pytest.mark.harness
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("door", [by_generate, by_bits_per_byte, by_serve, by_lm_eval], ids=lambda door: door.__name__)
def test_a_flipped_byte_in_any_file_is_named_beside_the_harnesses_too(
    run: Path, door: Callable[[Path], None], name: str
) -> None:
    if door is by_lm_eval:
        door(run / "checkpoints" / "step-00000010")  # whole, it opens
    is_named(run, door, name)


def is_named(run: Path, door: Callable[[Path], None], name: str) -> None:
    checkpoint = run / "checkpoints" / "step-00000010"
    flip(checkpoint / name, (checkpoint / name).stat().st_size // 2, bit=2)
    for source in (checkpoint, checkpoint / "model"):
        with pytest.raises(DamagedCheckpointError, match=Path(name).name) as told:
            door(source)
        assert str(told.value).count("\n") <= 2


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", FILES)
def test_a_run_with_a_damaged_checkpoint_opens_as_the_one_before(
    run: Path, whole: Path, name: str, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    if (name, harm) == ("manifest.json", "a link"):  # the same bytes in another place: the manifest is still true
        return
    HARM[harm](run / "checkpoints" / "step-00000010" / name)
    with caplog.at_level(logging.WARNING):
        opened = open_model(run, device="cpu")
    assert opened.name == "one-step-00000005" and opened.folder is not None
    assert "the checkpoint of step 10 is damaged and skipped" in caplog.text and Path(name).name in caplog.text
    expected = open_model(whole / "checkpoints" / "step-00000005", device="cpu")
    assert torch.equal(opened.model.wte.weight, expected.model.wte.weight)


@pytest.mark.parametrize("what", ["a file", "a dangling link", "an empty folder"])
def test_a_checkpoints_place_taken_by_something_else_is_passed_over(
    run: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = run / "checkpoints" / "step-00000020"
    {
        "a file": lambda: place.write_text("?"),
        "a dangling link": lambda: place.symlink_to("nothing"),
        "an empty folder": place.mkdir,
    }[what]()
    with caplog.at_level(logging.WARNING):
        assert open_model(run, device="cpu").name == "one-step-00000010"
    assert "the checkpoint of step 20 is damaged and skipped" in caplog.text


def test_what_was_put_beside_the_proven_files_is_not_read(run: Path) -> None:
    """A reader would take model.safetensors.index.json or another file by its name alone."""
    (run / "checkpoints" / "step-00000010" / "model" / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(DamagedCheckpointError, match=r"index\.json is not one of the checkpoint's files"):
        open_model(run / "checkpoints" / "step-00000010", device="cpu")


def test_a_checkpoint_is_proven_by_whatever_name_it_is_found(run: Path, tmp_path: Path) -> None:
    best = tmp_path / "best"
    shutil.copytree(run / "checkpoints" / "step-00000010", best)
    (tmp_path / "link").symlink_to(best / "model")
    for source in (best, best / "model", tmp_path / "link"):
        assert open_model(source, device="cpu").model.config == CONFIG
    flip(best / "model" / "model.safetensors", -1)
    for source in (best, best / "model", tmp_path / "link"):
        with pytest.raises(DamagedCheckpointError, match=r"model\.safetensors is damaged: its SHA-256"):
            open_model(source, device="cpu")
    shutil.copytree(run / "checkpoints" / "step-00000010", run / "checkpoints" / "step-00000030")
    with pytest.raises(DamagedCheckpointError, match="the manifest of step 10, not of step 30"):
        open_model(run / "checkpoints" / "step-00000030", device="cpu")


def test_a_live_runs_rotation_is_no_damage(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While step 10 is read, the run saves step 15 and removes step 10."""
    newer, original = run / "checkpoints" / "step-00000015", manifest.damage

    def racing(folder: Path, *rest: Any) -> list[str]:
        if folder.name == "step-00000010" and not newer.exists():
            saved = CheckpointStore(run / "checkpoints", keep_last=1)
            before = saved.load()
            assert before is not None
            weights = before.model().state_dict()
            saved.save(15, config=CONFIG, weights=weights, tokenizer=TOKENIZER, tensors={}, state={})
        return original(folder, *rest)

    monkeypatch.setattr("gpt_from_scratch.models.checkpoints.finding.damage", racing)
    with caplog.at_level(logging.WARNING):
        assert open_model(run, device="cpu").name == "one-step-00000015"
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("between", ["_beside", "load"])
def test_a_checkpoint_that_rotation_removes_while_it_is_read_is_replaced_by_the_newer(
    run: Path, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    module = opening if between == "_beside" else pretrained
    before = getattr(module, between)

    def rotates(*given: Any) -> Any:
        """What the run that lives does meanwhile, the first time."""
        old, new = run / "checkpoints" / "step-00000010", run / "checkpoints" / "step-00000015"
        if old.exists():
            shutil.copytree(old, new, ignore=shutil.ignore_patterns(manifest.MANIFEST_FILE))
            manifest.seal(new, 15)
            shutil.rmtree(old)
        return before(*given)

    monkeypatch.setattr(module, between, rotates)
    opened = open_model(run, device="cpu")
    assert opened.name == "one-step-00000015" and opened.folder is not None and opened.folder.exists()


def test_a_model_alone_is_no_checkpoint_and_is_checked_for_what_can_be(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "checkpoints" / "step-00000010" / "model", tmp_path / "mine")
    assert open_model(tmp_path / "mine", device="cpu").name == "mine"


def test_a_tokenizer_that_is_not_the_models_is_refused_and_an_equal_one_is_not(run: Path, tmp_path: Path) -> None:
    other = BytePairEncodingTokenizer.from_text("on and on and on, the sea. The sea, the sea." * 9, 270)
    assert other.n_vocab == TOKENIZER.n_vocab
    other.save(tmp_path / "other.json")
    with pytest.raises(ValueError, match="is not the one that the model .* was trained with"):
        open_model(run, device="cpu", tokenizer=tmp_path / "other.json")
    TOKENIZER.save(tmp_path / "same.json")
    assert (
        open_model(run, device="cpu", tokenizer=tmp_path / "same.json").tokenizer.fingerprint == TOKENIZER.fingerprint
    )


def test_devices_have_one_place_and_one_text() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    for name in ("cpuu", "cuda:99", "meta", "", "mps" if not torch.backends.mps.is_available() else "cuda:98"):
        with pytest.raises(ValueError, match=f"no device '{name}' here: .*Usable here: cpu"):
            choose_device(name)


JSON_FILES = [name for name in FILES if name.endswith(".json")]
