"""The folder of what a command learns: it can be written, one process at a time, and none stays empty."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.support.storage.lock import HeldError
from gpt_from_scratch.training.commands import bigram, dictionary, features
from gpt_from_scratch.training.results_folder import check_place, own_place, results_folder

HOLD = """
import sys
from pathlib import Path
from gpt_from_scratch.training.results_folder import own_place
with own_place(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("command", [bigram, dictionary, features], ids=lambda m: m.__name__)
def test_two_processes_do_not_learn_into_one_folder(command: object, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(HeldError, match=f"writing its results into .*process {process.pid} .*another --out"):
            command.main(["--out", str(out)])  # type: ignore[attr-defined]
        assert names(out) == [".lock"]
        process.communicate("")
    assert not out.exists(), "nothing was written, so nothing stays"


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with own_place(tmp_path), own_place(None):
        assert names(tmp_path) == [".lock"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("default", [False, True])
def test_a_place_that_cannot_be_is_refused_first(
    default: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = None if default else tmp_path / "runs"
    check_place(out)
    Path("runs").touch()
    with pytest.raises(ValueError, match=r"runs cannot be a folder: .*runs is a file\. Name"):
        check_place(out)
    with pytest.raises(ValueError, match=r"runs is a file"):
        check_place(Path("runs") / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="no root: it may write everywhere")
@pytest.mark.parametrize("out", [None, Path("mine"), Path("mine/below")])
def test_a_folder_of_somebody_else_s_is_refused_first(
    out: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError, match="you may not write in"):
        check_place(out)
    tmp_path.chmod(0o755)


def test_a_default_is_never_shared_and_a_choice_is_kept(tmp_path: Path) -> None:
    assert results_folder(None, tmp_path / "runs" / "a") == tmp_path / "runs" / "a"
    assert results_folder(None, tmp_path / "runs" / "a") == tmp_path / "runs" / "a-2"
    for _ in range(2):
        assert results_folder(tmp_path / "mine", tmp_path / "runs" / "a") == tmp_path / "mine"
