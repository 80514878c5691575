"""Nobody else may write where compiled code is kept."""

import os
import stat
from pathlib import Path

import pytest

from gpt_from_scratch.support.storage.private_folder import PrivateFolderError, private_folder


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt_from_scratch.support.storage.private_folder.user_caches", lambda: tmp_path)


def test_it_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = private_folder("inductor")
    assert folder == tmp_path / "gpt_from_scratch-inductor"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_folder("inductor") == folder


def test_one_that_others_may_write_is_refused() -> None:
    private_folder("inductor").chmod(0o777)
    with pytest.raises(PrivateFolderError, match="with mode 777; it must be yours .* remove it"):
        private_folder("inductor")


def test_one_of_another_user_is_refused() -> None:
    if os.getuid() != 0:
        pytest.skip("no root")
    os.chown(private_folder("inductor"), 12345, -1)
    with pytest.raises(PrivateFolderError, match="belongs to user 12345"):
        private_folder("inductor")


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "gpt_from_scratch-inductor"
    place.symlink_to(tmp_path / "elsewhere") if kind == "link" else place.write_text("")
    with pytest.raises(PrivateFolderError, match="is not a folder"):
        private_folder("inductor")


def test_where_nothing_can_be_written_it_is_temporary() -> None:
    folder = private_folder("inductor", Path("/dev/null/nothing"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "dev" not in folder.parts
    folder.rmdir()
