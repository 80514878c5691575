"""Signals to a process that is busy: acknowledged while it is, obeyed soon, and the second Ctrl-C at once."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.distributed.launcher.api import LaunchConfig

from gpt_from_scratch.training.launch import launch
from gpt_from_scratch.training.run import stop_signals as stopping
from gpt_from_scratch.training.run.stop_signals import Stopped, StopRequest

BUSY = """
    import hashlib, signal, sys
    from gpt_from_scratch.training.run import stop_signals as stopping
    stopping.GRACE_SECONDS, stopping.SAME_SIGNAL_SECONDS = 0.1, 0.0
    with stopping.StopRequest(ends_process=True).listening() as stop:
        stop.waits = sys.argv[1] == "training"
        print("ready", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # one call, in which Python handles no signal
"""


def started(phase: str) -> "subprocess.Popen[str]":
    code = [sys.executable, "-c", textwrap.dedent(BUSY), phase]
    process = subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    ready = cpu_ticks(process.pid)
    while cpu_ticks(process.pid) < ready + 10:  # a tenth of a second of work: it is in that one call
        assert process.poll() is None
    return process


def cpu_ticks(pid: int) -> int:
    """The time that a process has computed, in hundredths of a second."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11])


def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    assert process.stderr.readline() == "\n"
    return process.stderr.readline()


@pytest.mark.parametrize("number", stopping.STOPPING)
def test_before_there_is_anything_to_save_a_signal_is_said_and_ends_the_process(number: signal.Signals) -> None:
    process = started("preparing")
    process.send_signal(number)
    assert next_line(process) == f"{number.name}: stopping; there is nothing to save yet ...\n"
    assert process.communicate() == ("", "") and process.returncode == 128 + number


def test_in_training_the_first_ctrl_c_is_said_and_the_second_ends_the_process() -> None:
    process = started("training")
    process.send_signal(signal.SIGINT)
    assert "SIGINT: stopping after this step and saving; Ctrl-C again" in next_line(process)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert "stopping at once" in next_line(process)
    assert process.communicate() == ("", "") and process.returncode == 128 + signal.SIGINT


def test_the_same_signal_from_two_sides_is_one() -> None:
    stop = StopRequest()
    stop.waits = True
    stop.handle(signal.SIGINT, None)
    stop.handle(signal.SIGINT, None)  # torchrun's, after the terminal's
    assert stop.requested and stop.signal == signal.SIGINT


def test_a_signal_before_the_first_step_ends_the_run_but_among_several_hosts() -> None:
    with pytest.raises(Stopped, match="nothing to save") as stopped:
        StopRequest().handle(signal.SIGTERM, None)
    assert stopped.value.status == 143
    several = StopRequest(waits=True)
    several.handle(signal.SIGTERM, None)
    assert several.requested


def test_an_import_that_is_cut_short_is_the_signals_doing() -> None:
    stop = StopRequest(speaks=False)
    with pytest.raises(Stopped), stop.listening():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise ImportError("cannot load module more than once per process") from None


def test_the_signals_are_given_back_and_an_ignored_hangup_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handlers = [signal.getsignal(number) for number in stopping.STOPPING]
        stop = StopRequest()
        with stop.listening():
            assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == stop.handle
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
        assert not stop.requested
        assert [signal.getsignal(number) for number in stopping.STOPPING] == handlers
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_it_runs_without_signals() -> None:
    ran = []

    def work() -> None:
        with StopRequest().listening() as stop:
            ran.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(ran) == 1


@pytest.mark.parametrize("ignored", [True, False])
def test_the_launcher_hands_a_hangup_on_unless_nohup_has_it_ignored(
    monkeypatch: pytest.MonkeyPatch, ignored: bool
) -> None:
    configs: list[LaunchConfig] = []

    def elastic_launch(config: LaunchConfig, entrypoint: str) -> Callable[..., None]:
        configs.append(config)
        return lambda *words: None

    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", elastic_launch)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert launch(2, 0, []) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ("SIGHUP" in configs[0].signals_to_handle) is not ignored
    assert {"SIGTERM", "SIGINT"} <= set(configs[0].signals_to_handle.split(","))
