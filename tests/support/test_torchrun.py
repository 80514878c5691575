"""Torchrun's environment: read or refused in words, with one name for all restarts of one torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.support import torchrun
from gpt_from_scratch.support.torchrun import ERROR_FILE, SET_BY_TORCHRUN, Position, first_to_say, launcher, position

WHOLE = {
    "RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SET_BY_TORCHRUN, ERROR_FILE, "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def put(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert position() == Position(0, 1, 0, 1)
    put(monkeypatch, {"WORLD_SIZE": "1"})
    assert position() == Position()
    put(monkeypatch, WHOLE)
    assert position() == Position(1, 4, 1, 2)
    monkeypatch.delenv("GROUP_WORLD_SIZE")
    monkeypatch.setenv("LOCAL_RANK", "")
    assert position() == Position(1, 4, 0, 1)


@pytest.mark.parametrize(
    ("values", "without", "words"),
    [
        ({}, "WORLD_SIZE", "RANK is 1, and WORLD_SIZE is not set"),
        ({}, "RANK", "WORLD_SIZE is 4, and RANK is not set"),
        ({}, "MASTER_ADDR", "MASTER_ADDR, the host of rank 0, is not set"),
        ({}, "MASTER_PORT", "MASTER_PORT is '', which is no port"),
        ({"RANK": "4"}, None, "RANK is 4, and WORLD_SIZE 4: the ranks are 0 to 3"),
        ({"RANK": "-1"}, None, "RANK is '-1', which is no whole number from 0 on"),
        ({"RANK": "one"}, None, "RANK is 'one'"),
        ({"RANK": "٣"}, None, "RANK is"),
        ({"WORLD_SIZE": "0"}, None, "WORLD_SIZE is '0', which is no whole number from 1 on"),
        ({"WORLD_SIZE": "1e3"}, None, "WORLD_SIZE is '1e3'"),
        ({"LOCAL_RANK": "9"}, None, "LOCAL_RANK is 9"),
        ({"GROUP_WORLD_SIZE": "5"}, None, "GROUP_WORLD_SIZE is 5"),
        ({"MASTER_PORT": "70000"}, None, "MASTER_PORT is '70000', which is no port"),
        ({"MASTER_PORT": "http"}, None, "MASTER_PORT is 'http'"),
    ],
)
def test_what_cannot_be(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], without: str | None, words: str
) -> None:
    put(monkeypatch, WHOLE | values)
    if without is not None:
        monkeypatch.delenv(without)
    with pytest.raises(ValueError, match=words) as caught:
        position()
    assert "Start them with torchrun" in str(caught.value) and str(caught.value).count("\n") == 1


odd = st.sampled_from(["", "0", "1", "2", "3", "-1", "x", "1.0", " 1", "70000", "9" * 40]) | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=4
)


@given(st.dictionaries(st.sampled_from(SET_BY_TORCHRUN), odd))
def test_any_environment_is_read_or_refused(values: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        put(patch, values)
        try:
            found = position()
        except ValueError as error:
            assert "the environment says" in str(error)
        else:
            assert (
                0 <= found.rank < found.size and 0 <= found.local_rank < found.size and 1 <= found.hosts <= found.size
            )


def test_the_mistake_comes_before_data_and_model() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY_TORCHRUN}
    command = [sys.executable, "training/train_gpt2.py", "--data.path", "/nothing/here"]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        env={**environment, "RANK": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: the environment says") and done.stderr.count("\n") <= 3


def logs(monkeypatch: pytest.MonkeyPatch, folder: Path, attempt: int, rank: int) -> None:
    """As torchrun makes them for a process."""
    own = folder / f"attempt_{attempt}" / str(rank)
    own.mkdir(parents=True, exist_ok=True)
    put(monkeypatch, {ERROR_FILE: str(own / "error.json"), "TORCHELASTIC_RUN_ID": "none"})


def test_a_torchruns_name_outlives_attempts_and_is_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = []
    for job, attempt, rank in (("job_x", 0, 0), ("job_x", 0, 1), ("job_x", 1, 0), ("job_y", 0, 0)):
        logs(monkeypatch, tmp_path / job, attempt, rank)
        names.append(launcher())
    assert names[0] == names[1] == names[2] != names[3]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux")
def test_without_logs_the_torchrun_is_found_above_what_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from gpt_from_scratch.support.torchrun import launcher; print(launcher())"
    put(monkeypatch, {"TORCHELASTIC_RUN_ID": "a job", "CODE": code})
    straight = [sys.executable, "-c", code]
    between = ["sh", "-c", f"sh -c '{sys.executable} -c \"$CODE\"; exit $?'; exit $?"]
    names = {
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in (straight, between)
    }
    assert len(names) == 1 and f":{os.getpid()}:" in names.pop()


def test_a_mistake_of_all_is_told_once_an_attempt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = []
    for attempt, rank in ((0, 0), (0, 1), (1, 1), (1, 0)):
        logs(monkeypatch, tmp_path, attempt, rank)
        told.append((first_to_say("no such file"), first_to_say(f"rank {rank} has no GPU of its own")))
    assert told == [(True, True), (False, True)] * 2
    monkeypatch.delenv(ERROR_FILE)
    assert first_to_say("no such file") and first_to_say("no such file")


def test_torchruns_summary_says_what_was_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    logs(monkeypatch, tmp_path, 0, 0)
    torchrun.report_failure("no such file: a.txt")
    failure = ProcessFailure(local_rank=0, pid=1, exitcode=2, error_file=os.environ[ERROR_FILE])
    assert "traceback : no such file: a.txt" in str(ChildFailedError("train", {0: failure}))
