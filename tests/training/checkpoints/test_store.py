"""Promises of a store: exact state, rotation, and nothing saved that is not finite."""

import errno
import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.models.checkpoints import checkpoint
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training.checkpoints import (
    Best,
    CheckpointStore,
    DamagedCheckpointError,
    NonFiniteError,
)
from gpt_from_scratch.training.checkpoints import store as store_module
from tests.training.checkpoints.run import CONFIG, TOKENIZER, assert_is_step, saved, state_at


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(
    "config", [CONFIG, GPTConfig(8, TOKENIZER.n_vocab, 1, 1, 8, position="rotary", tie_head=False)]
)
def test_everything_comes_back_to_the_last_bit(tmp_path: Path, wait: bool, config: GPTConfig) -> None:
    store = CheckpointStore(tmp_path / "checkpoints")
    assert store.load() is None
    store.save(7, **state_at(7, config), wait=wait)
    store.finish()
    before = torch.get_rng_state()
    assert_is_step(store.load(), 7)
    assert torch.equal(torch.get_rng_state(), before)
    assert [path.name for path in store.folder.iterdir()] == ["step-00000007"]


def test_the_model_folder_opens_without_knowing_training(tmp_path: Path) -> None:
    store = saved(tmp_path, 3)
    assert GPT.from_pretrained(store.path_of(3) / "model").config == CONFIG
    assert load_tokenizer(store.path_of(3) / "model").fingerprint == TOKENIZER.fingerprint


def test_an_asynchronous_save_holds_the_moment_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimizer goes on in place while the thread writes (pytorch#144657)."""
    go_on = threading.Event()
    write = checkpoint.write_tensors
    monkeypatch.setattr(checkpoint, "write_tensors", lambda *given: (go_on.wait(), write(*given)))
    store = CheckpointStore(tmp_path)
    given = state_at(1)
    store.save(1, **given, wait=False)
    for tensor in (*given["weights"].values(), *given["tensors"].values()):
        tensor.add_(1)
    given["state"]["sampler"]["step"] = 2
    assert store.steps() == []
    go_on.set()
    assert_is_step(store.load(), 1)


def test_buffers_are_filled_anew_at_each_asynchronous_save(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=9)
    for step in range(5):
        store.save(step, **state_at(step, width=100 + step // 3), wait=False)
    store.finish()
    for step in range(5):
        assert_is_step(CheckpointStore(tmp_path).load(step), step)


def test_an_asynchronous_failure_is_raised_once_by_the_next_call(tmp_path: Path) -> None:
    store = saved(tmp_path, 1)
    given = state_at(2)
    given["weights"]["ln_f.weight"][3] = float("nan")
    store.save(2, **given, wait=False)
    with pytest.raises(NonFiniteError, match=r"NaN or infinity: ln_f\.weight$"):
        store.save(3, **state_at(3), wait=False)
    store.save(3, **state_at(3), wait=False)
    store.finish()
    assert store.steps() == [1, 3]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_not_finite_is_never_saved(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    store = saved(tmp_path, 1, keep_last=1)
    given = state_at(2)
    given["tensors"]["momentum.wte.weight"] = torch.zeros(3, 50, dtype=dtype)
    given["tensors"]["momentum.wte.weight"][1, 7] = value
    given["tensors"]["none"] = torch.zeros(0)
    with pytest.raises(NonFiniteError, match=r"momentum\.wte\.weight"):
        store.save(2, **given)
    assert_is_step(store.load(), 1)


@pytest.mark.parametrize(
    "state", [{"loss": float("inf")}, {"betas": (0.9, 0.95)}, {"of step": {1: 2}}, {"path": Path("x")}]
)
def test_a_state_that_json_would_change_is_refused(tmp_path: Path, state: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="the state of a checkpoint must"):
        CheckpointStore(tmp_path).save(1, **{**state_at(1), "state": state})
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_config_are_refused(tmp_path: Path) -> None:
    given = state_at(1)
    del given["weights"]["ln_f.weight"]
    with pytest.raises(RuntimeError, match=r"ln_f\.weight"):
        CheckpointStore(tmp_path).save(1, **given)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_waiting_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come while a save is waited for; the one that the handler asks for is then the same, and not written twice."""
    go_on = threading.Event()
    write = checkpoint.write_tensors
    monkeypatch.setattr(checkpoint, "write_tensors", lambda *given: (go_on.wait(), write(*given)))

    def interrupted(futures: object) -> None:
        raise KeyboardInterrupt

    store = CheckpointStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.save(1, **state_at(1))
    go_on.set()
    store.save(1, **state_at(1))
    assert_is_step(store.load(), 1)


def test_rotation_keeps_the_last_the_best_and_every_nth(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2, keep_every=50)
    for step in range(10, 130, 10):
        store.save(step, **state_at(step))
        if step == 30:
            store.mark_best(step, loss=1.5)
    assert store.steps() == [30, 50, 100, 110, 120]
    assert store.best() == Best(30, 1.5)
    store.mark_best(120, loss=1.25)
    store.save(130, **state_at(130))
    assert store.steps() == [50, 100, 120, 130]
    assert CheckpointStore(tmp_path).best() == Best(120, 1.25)


def test_the_last_good_one_is_kept_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = saved(tmp_path, 1, keep_last=1)

    def fails(*given: object) -> None:
        raise RuntimeError("halfway")

    monkeypatch.setattr(checkpoint, "seal", fails)
    with pytest.raises(RuntimeError, match="halfway"):
        store.save(2, **state_at(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_a_best_step_that_was_not_saved_changes_nothing(tmp_path: Path) -> None:
    store = saved(tmp_path, 1)
    assert store.mark_best(1, loss=2.0)
    assert not store.mark_best(2, loss=1.0)
    assert store.best() == Best(1, 2.0)


def test_a_best_step_may_still_be_on_its_way(tmp_path: Path) -> None:
    store = saved(tmp_path, 1)
    store.save(2, **state_at(2), wait=False)
    assert store.mark_best(2, loss=1.0)
    assert store.best() == Best(2, 1.0)


def test_a_damaged_best_file_is_told_and_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    store = saved(tmp_path, 1, warn=told.append)
    (tmp_path / "best.json").write_text('{"step": ')
    assert store.best() is None and "best.json is damaged" in told[0]


def test_a_step_is_saved_once_and_steps_only_go_up(tmp_path: Path) -> None:
    store = saved(tmp_path, 5)
    inode = store.path_of(5).stat().st_ino
    store.save(5, **state_at(5))
    assert store.path_of(5).stat().st_ino == inode
    with pytest.raises(ValueError, match="step 4 cannot be saved after step 5"):
        store.save(4, **state_at(4))


def test_going_on_from_an_earlier_step_sets_the_later_ones_aside(tmp_path: Path) -> None:
    """Otherwise the next resume would take the abandoned line, and rotation the new one's checkpoints."""
    saved(tmp_path, 10, 20, 30, keep_last=3)
    told: list[str] = []
    store = CheckpointStore(tmp_path, keep_last=3, warn=told.append)
    assert_is_step(store.load(10), 10)
    store.save(15, **state_at(15))
    assert store.steps() == [10, 15]
    assert len(list(tmp_path.glob("aside-step-*"))) == 2 and "renamed to aside-step-00000020-" in told[0]
    assert_is_step(CheckpointStore(tmp_path).load(), 15)


def test_leftovers_of_a_killed_process_go_at_the_next_save(tmp_path: Path) -> None:
    (tmp_path / ".step-00000009.0badcafe.tmp" / "model").mkdir(parents=True)
    (tmp_path / ".step-00000009.0badcafe.tmp" / "model" / "config.json").write_text("{")
    (tmp_path / ".best.json.17.0badcafe.tmp").write_text("{")
    store = saved(tmp_path, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000010"]
    assert store.steps() == [10]


def test_settings_that_keep_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep_last must be at least 1"):
        CheckpointStore(tmp_path, keep_last=0)


def test_a_step_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 3; it has \[1\]"):
        saved(tmp_path, 1).load(3)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        CheckpointStore(tmp_path / "file").load()


def test_a_foreign_folder_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "step-00000100").mkdir()
    (tmp_path / "step-00000100" / ".metadata").write_bytes(b"\x80\x04")
    with pytest.raises(
        DamagedCheckpointError, match=r"manifest\.json is missing: a checkpoint of this project has one"
    ):
        CheckpointStore(tmp_path, warn=lambda line: None).load()
    (tmp_path / "step-00000100" / "manifest.json").write_text(json.dumps({"files": []}))
    with pytest.raises(DamagedCheckpointError, match="expected the format 'gpt_from_scratch checkpoint'"):
        CheckpointStore(tmp_path, warn=lambda line: None).load()


def test_no_thread_lives_on_after_a_save(tmp_path: Path) -> None:
    """Its OpenMP team would slow every later training step."""
    saved(tmp_path, 1).finish()
    for thread in threading.enumerate():
        if thread.name.startswith("checkpoint"):
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_a_gpt2_ends_texts_with_its_tokenizers_token(tmp_path: Path) -> None:
    """Of a vocabulary rounded up the last id is no token: transformers' generate would never end."""
    tokenizer = BytePairEncodingTokenizer([], special_tokens=["<|endoftext|>"])
    config = replace(CONFIG, vocab_size=tokenizer.n_vocab + 7)
    store = CheckpointStore(tmp_path)
    store.save(1, **{**state_at(1, config), "tokenizer": tokenizer})
    described = json.loads((store.path_of(1) / "model" / "config.json").read_text())
    assert described["eos_token_id"] == described["bos_token_id"] == tokenizer.eot_token == tokenizer.n_vocab - 1
    store.save(2, **state_at(2))  # its tokenizer has no such token
    described = json.loads((store.path_of(2) / "model" / "config.json").read_text())
    assert described["eos_token_id"] == CONFIG.vocab_size - 1


@pytest.mark.parametrize("what", ["a file", "a dangling link", "a link to a file"])
@pytest.mark.parametrize("step", [10, 20, 30])
def test_a_checkpoints_place_taken_by_something_else_is_set_aside(tmp_path: Path, what: str, step: int) -> None:
    """Before the step that the run went on from, at the next to be saved, and beyond."""
    saved(tmp_path, 5, 15)
    place = tmp_path / f"step-{step:08d}"
    (tmp_path / "file").write_text("precious")
    {
        "a file": lambda: place.write_text("precious"),
        "a dangling link": lambda: place.symlink_to("nothing"),
        "a link to a file": lambda: place.symlink_to("file"),
    }[what]()
    told: list[str] = []
    store = CheckpointStore(tmp_path, warn=told.append)
    assert_is_step(store.load(), 15)
    store.save(20, **state_at(20))
    assert_is_step(CheckpointStore(tmp_path).load(20), 20)
    assert any(f"{place.name} does not belong to this run's history" in line for line in told)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    "text", ["[]", "7", '{"step": Infinity, "loss": 1}', '{"step": 10}', '{"step": [], "loss": 1}', None]
)
def test_any_note_of_the_best_is_left_out_where_it_is_none(tmp_path: Path, text: str | None) -> None:
    told: list[str] = []
    store = CheckpointStore(tmp_path, warn=told.append)
    store.save(10, **state_at(10))
    if text is None:
        (tmp_path / "best.json").mkdir()
    else:
        (tmp_path / "best.json").write_text(text)
    assert store.best() is None and "best.json is damaged" in told[0]
    store.save(20, **state_at(20))
    assert_is_step(CheckpointStore(tmp_path).load(), 20)


def test_what_cannot_be_removed_stops_no_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rmtree = shutil.rmtree

    def fails(path: Path, ignore_errors: bool = False) -> None:
        if path.name.startswith(".step-00000001.") and not ignore_errors:
            raise OSError(errno.EIO, "no", str(path))
        rmtree(path, ignore_errors)

    told: list[str] = []
    store = CheckpointStore(tmp_path, keep_last=1, warn=told.append)
    with monkeypatch.context() as patch:
        patch.setattr("gpt_from_scratch.support.storage.files.PAUSES", (0.0, 0.0, 0.0))
        patch.setattr(shutil, "rmtree", fails)
        for step in (1, 2, 3):
            store.save(step, **state_at(step))
            assert store.unsaved is None
    assert store.steps() == [3] and len(told) == 1 and "older checkpoints stay" in told[0]
    store.save(4, **state_at(4))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004"], "the disk is well again"


def test_the_best_checkpoint_outlives_a_note_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    store = CheckpointStore(tmp_path, keep_last=1, warn=told.append)
    store.save(1, **state_at(1))
    assert store.mark_best(1, loss=1.0)
    read_text = Path.read_text

    def fails(path: Path, *given: Any, **more: Any) -> str:
        if path.name == "best.json":
            raise OSError(errno.EIO, "no", str(path))
        return read_text(path, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr("gpt_from_scratch.support.storage.files.PAUSES", (0.0, 0.0, 0.0))
        patch.setattr(Path, "read_text", fails)
        for step in (2, 3):
            store.save(step, **state_at(step))
        with pytest.raises(OSError, match="no"):
            store.best()
    assert len(told) == 2 and all("older checkpoints stay" in line for line in told)
    store.save(4, **state_at(4))
    assert store.steps() == [1, 4] and store.best() == Best(1, 1.0)
