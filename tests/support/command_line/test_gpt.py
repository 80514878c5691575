"""The command `gpt`: every name leads to its function, and what is wrong is told in words."""

import contextlib
import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.__main__ import COMMANDS, chosen, usage
from gpt_from_scratch.evals.__main__ import COMMANDS as SCORED
from gpt_from_scratch.evals.__main__ import text_evals
from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.training.launch import with_backend


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_function(name: str) -> None:
    module, _, function = COMMANDS[name].target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert f"  {name} " in usage() and COMMANDS[name].about in usage()


def test_two_words_may_name_a_command() -> None:
    assert chosen(["learn", "bigram", "--steps", "3"]) == ("learn bigram", ["--steps", "3"])
    assert chosen(["eval", "hellaswag"]) == ("eval", ["hellaswag"])
    with pytest.raises(ValueError, match=re.escape(f"{gpt('learn', 'bigram')}, {gpt('learn', 'dictionary')}")):
        chosen(["learn"])


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--help"], 0, "usage: gpt COMMAND"),
        ([], 2, "usage: gpt COMMAND"),
        (["--version"], 0, "gpt (provengpt)"),
        (["trian"], 2, f"there is no command 'trian'. Did you mean {gpt('train')}?\n{gpt('--help')} lists"),
        (["train", "--nproc", "0"], 2, "--nproc is '0': expected a whole number, 1 or more"),
        (["train", "--max-restarts", "1"], 2, "--max-restarts needs --nproc"),
        (["doctor"], 0, "next: "),
        (["bench", "--help"], 0, "--benchmark-json"),
        (["bench", "--no-such-option"], 2, "unrecognized arguments: --no-such-option"),
    ],
)
def test_both_ways_to_call_it(words: list[str], status: int, says: str) -> None:
    # Without this run's own variables: pytest-benchmark measures nothing in one of pytest-xdist's workers.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "gpt_from_scratch", *words], capture_output=True, text=True, check=False, env=outside
    )
    assert run.returncode == status and says in run.stdout + run.stderr
    assert "Traceback" not in run.stderr and (
        status != 2 or words[:1] == ["bench"] or len(run.stderr.splitlines()) <= 3
    )


def test_a_second_ctrl_c_ends_gpt_train_as_it_ends_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpt_from_scratch.training import launch, train_gpt2

    told: list[bool] = []
    monkeypatch.setattr(train_gpt2, "run", lambda words, ranks, ends_process: told.append(ends_process) or 0)
    assert launch.main(["tiny"]) == train_gpt2.process(["tiny"]) == 0
    assert told == [True, True]


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, gpt_from_scratch.__main__ as m; m.usage(); sys.exit(bool({'torch', 'tyro'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_several_ranks_end_in_the_status_of_the_mistake(tmp_path: object) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "gpt_from_scratch", "train", "--nproc", "2", "--model.n-head", "7"],
        capture_output=True,
        text=True,
        check=False,
        cwd=str(tmp_path),
    )
    assert run.returncode == 2 and "n_head 7 must divide" in run.stderr
    assert "Traceback" not in run.stderr and "ChildFailedError" not in run.stderr


@pytest.mark.parametrize(
    ("words", "times"),
    [
        ([], True),
        (["--steps", "3"], True),
        (["shakespeare-char"], True),
        (["gpt2-124m"], False),
        (["--backend", "reference"], False),
        (["tiny", "--backend=torch"], False),
        (["--resume", "runs/a"], False),
        (["--config", "runs/a/config.json"], False),
    ],
)
def test_presets_for_a_cpu_time_the_backends(words: list[str], times: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPT_BACKEND", raising=False)
    assert with_backend(words) == ([*words, "--backend", "fastest"] if times else words)
    monkeypatch.setenv("GPT_BACKEND", "torch")
    assert with_backend(words) == words


@pytest.mark.parametrize("words", [*COMMANDS, *(f"eval {name}" for name in (*text_evals(), *SCORED))])
def test_every_command_has_help(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, rest = chosen(words.split())
    module, _, function = COMMANDS[name].target.partition(":")
    with contextlib.suppress(SystemExit):
        assert getattr(importlib.import_module(module), function)([*rest, "--help"]) in (0, None)
    shown = capsys.readouterr()
    assert shown.out.startswith("usage:") and not shown.err


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_a_reader_that_has_had_enough_ends_gpt_itself_quietly(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "gpt_from_scratch", *words]
    run = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (run.returncode, run.stderr) == (141, "")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_several_ranks_that_had_nothing_to_save_do_not_end_as_if_they_had(
    number: int, status: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "gpt_from_scratch", "train", "--nproc", "2", "--backend", "torch"]
    with subprocess.Popen(
        [*command, "--data.n-stories", "10000000"],  # which take long to make
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None and any(line.startswith("data: stories") for line in process.stdout)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == status and "nothing to save" in said
    assert "Traceback" not in said and "death signal" not in said
    assert number != signal.SIGINT or len(said.strip().splitlines()) == 1, said
