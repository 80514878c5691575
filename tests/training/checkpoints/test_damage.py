"""Damage of every kind in every file is noticed and named, and the checkpoint before it is taken."""

import errno
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.models.checkpoints import manifest
from gpt_from_scratch.training.checkpoints import CheckpointStore, DamagedCheckpointError
from tests.training.checkpoints.run import assert_is_step, saved, state_at

FILES = [
    "manifest.json",
    "state.json",
    "optimizer.safetensors",
    "model/config.json",
    "model/model.safetensors",
    "model/gpt_tokenizer.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/generation_config.json",
]


def flip(path: Path, place: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


HARM: dict[str, Callable[[Path], None]] = {
    "first bit": lambda path: flip(path, 0),
    "bit in the middle": lambda path: flip(path, path.stat().st_size // 2, bit=5),
    "last bit": lambda path: flip(path, -1, bit=7),
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "missing": Path.unlink,
    "a folder": lambda path: (path.unlink(), path.mkdir())[0],
    "a link": lambda path: (path.rename(path.with_name("moved")), path.symlink_to("moved"))[1],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    saved(folder, 10, 20)
    return folder


def test_the_files_are_all_there_are(whole: Path) -> None:
    folder = whole / "step-00000020"
    assert sorted(FILES) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


CASES = [(name, harm) for name in FILES for harm in HARM]
CASES.remove(("manifest.json", "a link"))  # the same bytes in another place: the manifest is still true


@pytest.mark.parametrize("name, harm", CASES)
def test_damage_is_noticed_and_named_and_the_one_before_taken(
    whole: Path, tmp_path: Path, name: str, harm: str
) -> None:
    folder = tmp_path / "checkpoints"
    shutil.copytree(whole, folder)
    HARM[harm](folder / "step-00000020" / name)
    told: list[str] = []
    store = CheckpointStore(folder, warn=told.append)
    assert_is_step(store.load(), 10)
    assert len(told) == 1 and "step 20" in told[0] and name in told[0]
    with pytest.raises(DamagedCheckpointError, match=name):
        store.load(20)  # an explicit step is never replaced by another


def test_every_flipped_bit_of_a_manifest_is_noticed(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "step-00000020"
    shutil.copytree(whole / "step-00000020", folder)
    path = folder / "manifest.json"
    data = path.read_bytes()
    for place in random.Random(1).sample(range(8 * len(data)), 150):
        flip(path, place // 8, place % 8)
        assert manifest.damage(folder, 20), f"bit {place}"
        path.write_bytes(data)
    assert not manifest.damage(folder, 20)


def test_all_damaged_is_an_error_and_never_a_fresh_start(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "checkpoints")
    for step in (10, 20):
        cut(tmp_path / "checkpoints" / f"step-{step:08d}" / "state.json")
    with pytest.raises(DamagedCheckpointError, match=r"(?s)no complete checkpoint.*step-00000020.*step-00000010"):
        CheckpointStore(tmp_path / "checkpoints", warn=lambda line: None).load()


def test_a_renamed_folder_is_not_another_step(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "step-00000010", tmp_path / "step-00000030")
    with pytest.raises(DamagedCheckpointError, match="the manifest of step 10, not of step 30"):
        CheckpointStore(tmp_path, warn=lambda line: None).load()


def test_damaged_checkpoints_are_set_aside_by_the_next_save_and_never_count_as_the_last(
    whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints"
    shutil.copytree(whole, folder)
    cut(folder / "step-00000020" / "state.json")
    told: list[str] = []
    store = CheckpointStore(folder, keep_last=2, warn=told.append)
    store.load()
    store.save(20, **state_at(20))
    assert store.steps() == [10, 20]
    assert_is_step(CheckpointStore(folder).load(), 20)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/hostname", "model/../../outside", "model//x", ".hidden", "a\\..\\b"]
)
def test_a_manifest_cannot_name_files_outside(whole: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "step-00000020"
    shutil.copytree(whole / "step-00000020", folder)
    written = json.loads((folder / "manifest.json").read_bytes())
    written.pop("sha256")
    written["files"][name] = written["files"]["state.json"]
    (folder / "manifest.json").write_bytes(manifest._rendered(written))
    assert "not a plain file inside the checkpoint" in manifest.damage(folder, 20)[0]


def test_a_newer_format_says_so(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "VERSION", 2)
    assert "format version 1; this release reads version 2" in manifest.damage(whole / "step-00000020", 20)[0]


@pytest.mark.parametrize("call", ["stat", "open"])
def test_a_disk_that_fails_for_a_moment_is_no_damage(whole: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    original, failed = getattr(Path, call), set[Path]()

    def fails_once(path: Path, *given: Any, **more: Any) -> Any:
        if path.is_relative_to(whole) and path.suffix and path not in failed:
            failed.add(path)
            raise OSError(errno.EIO, "no", str(path))
        return original(path, *given, **more)

    monkeypatch.setattr("gpt_from_scratch.support.storage.files.PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(Path, call, fails_once)
    told: list[str] = []
    assert_is_step(CheckpointStore(whole, warn=told.append).load(), 20)
    assert told == [] and len(failed) >= len(FILES) - 1
