"""Fixtures of every test: the switch for compiled tests, and the rule about which skips are allowed."""

import os
import signal
from collections.abc import Iterator

import jaxtyping
import pytest

from tests.pages.chromium import Tab, browsing, find_chromium

ALLOWED_SKIPS = ("no CUDA", "no mps", "no ../shared", "no root", "no compiler", "no browser", "no node")

_bad_skips: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Two settings that every worker and each of its processes inherit: threads, and signals that are heard.

    Where workers have more threads than cores between them, OpenMP's barriers spin for seconds. A shell without job
    control starts what it puts in the background (``make test &``) with SIGINT and SIGQUIT ignored, and so would be each
    process that a test interrupts.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.fixture(autouse=True)
def _no_shape_checks_under_compile(request: pytest.FixtureRequest) -> Iterator[None]:
    """Dynamo cannot trace jaxtyping's wrappers (pytorch#122093): they are off for tests marked ``compile``."""
    if request.node.get_closest_marker("compile") is None:
        yield
        return
    import torch

    jaxtyping.config.update("jaxtyping_disable", True)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tab of one browser, which all tests of a worker share."""
    program = find_chromium()
    if program is None:
        pytest.skip("no browser: none of chromium, chromium-browser, google-chrome is installed")
    with browsing(program, tmp_path_factory.mktemp("browser")) as tab:
        yield tab


OPT_IN = ("harness", "torture", "llama", "docs")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of these kinds run only where they are asked for by `-m`; else they are not part of the run at all."""
    wanted = str(config.getoption("-m"))
    left_out = [i for i in items if any(i.get_closest_marker(kind) and kind not in wanted for kind in OPT_IN)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note_skip(report)


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(ALLOWED_SKIPS):
            _bad_skips.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _bad_skips and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _bad_skips:
        terminalreporter.section("skips that are not allowed")
        for line in _bad_skips:
            terminalreporter.write_line(line, red=True)
        terminalreporter.write_line(f"A skip's reason must begin with one of: {', '.join(ALLOWED_SKIPS)}.")
