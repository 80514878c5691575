"""Files of a model that may not be read: named as such, and neither called damaged or missing nor replaced by older ones."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.training.checkpoints import CheckpointStore
from tests.training.checkpoints.test_damage import FILES


@pytest.fixture
def open_to_all(whole: Path) -> Iterator[Path]:
    """A copy of the run where any user may look; who runs as root is another one meanwhile, since root may read everything."""
    open_model(whole, device="cpu")  # imports what this user may not
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(whole, Path(folder, "one"))
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        yield Path(folder, "one")
        os.seteuid(before)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_not_be_read_is_not_called_damaged_and_no_older_one_is_taken(
    open_to_all: Path, name: str
) -> None:
    checkpoint = open_to_all / "checkpoints" / "step-00000010"
    with as_owner():
        (checkpoint / name).chmod(0)
    for source in (open_to_all, checkpoint, checkpoint / "model"):
        with pytest.raises(PermissionError, match="permission denied: ask its owner to make it readable") as told:
            open_model(source, device="cpu")
        assert told.value.filename == str(checkpoint / name)
    with pytest.raises(PermissionError, match="permission denied"):
        CheckpointStore(open_to_all / "checkpoints").load()


def test_a_model_alone_that_may_not_be_read_is_not_called_missing(open_to_all: Path) -> None:
    with as_owner():
        shutil.move(open_to_all / "checkpoints" / "step-00000010" / "model", open_to_all / "mine")
        (open_to_all / "mine" / "model.safetensors").chmod(0)
    with pytest.raises(PermissionError, match="Permission denied"):
        open_model(open_to_all / "mine", device="cpu")


@contextlib.contextmanager
def as_owner() -> Iterator[None]:
    """Root again for a moment, where the tests run as root."""
    now = os.geteuid()
    os.seteuid(os.getuid())
    yield
    os.seteuid(now)


def test_all_files_of_a_checkpoint_are_for_the_same_people(whole: Path) -> None:
    """Those of the umask; safetensors leaves its files to their owner alone."""
    files = [path for path in whole.rglob("*") if path.is_file()]
    assert len({path.stat().st_mode for path in files}) == 1 and len(files) > len(FILES)


def test_a_name_that_safetensors_cannot_open_is_not_called_damage(whole: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(whole / "checkpoints" / "step-00000010", odd)
    with pytest.raises(ValueError, match="the name holds bytes that are not UTF-8: rename that folder or file"):
        open_model(odd, device="cpu")
