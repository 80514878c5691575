"""The folder of what a command learns: one process at a time, and none that stays empty."""

import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.support.lock import HeldError
from gpt_from_scratch.training import train_bigram, train_dictionary, train_sparse_autoencoder
from gpt_from_scratch.training.results_folder import own_place

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


@pytest.mark.parametrize(
    "command", [train_bigram, train_dictionary, train_sparse_autoencoder], ids=lambda m: m.__name__
)
def test_two_processes_do_not_learn_into_one_folder(command: object, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(HeldError, match=f"writing what it learns into .*process {process.pid} .*another --out"):
            command.main(["--out", str(out)])  # type: ignore[attr-defined]
        assert names(out) == [".lock"]
        process.communicate("")
    assert not out.exists(), "nothing was written, so nothing stays"


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with own_place(tmp_path), own_place(None):
        assert names(tmp_path) == [".lock"]
    assert names(tmp_path) == []
