"""Nobody else may write where compiled code is kept."""

import stat
from pathlib import Path

import pytest

from gpt_from_scratch.support.private_folder import PrivateFolderError, private_folder


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_it_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = private_folder("inductor")
    assert folder == tmp_path / "gpt_from_scratch" / "inductor"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_folder("inductor") == folder


def test_one_that_others_may_write_is_refused(tmp_path: Path) -> None:
    private_folder("inductor").chmod(0o777)
    with pytest.raises(PrivateFolderError, match="mode 777: remove it"):
        private_folder("inductor")


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "gpt_from_scratch").mkdir()
    (tmp_path / "gpt_from_scratch" / "inductor").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PrivateFolderError):
        private_folder("inductor")
