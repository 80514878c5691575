"""`pytest benchmarks` checks that the benchmarks run; `pytest benchmarks --benchmark-only` measures and prints ratios."""

import jaxtyping
import pytest
import torch


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Without --benchmark-only each benchmark runs once, untimed; with it, the shape checks are off: one costs 45 µs a call."""
    if not config.getoption("benchmark_only", default=False):
        config.option.benchmark_disable = True
    jaxtyping.config.update("jaxtyping_disable", True)


@pytest.fixture(autouse=True)
def compiled_for_this_shape() -> None:
    """torch.compile makes a second shape's code for any shape, and after eight it refuses: each benchmark compiles its own."""
    torch._dynamo.reset()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Each group's medians, over the reference's and over the best outside one's."""
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, dict[str, float]] = {}
    for benchmark in getattr(session, "benchmarks", ()):
        if "contender" in benchmark.extra_info and not benchmark.has_error:
            groups.setdefault(benchmark.group, {})[benchmark.extra_info["contender"]] = benchmark.stats.median
    if groups:
        terminalreporter.section("times as ratios: below 1 is faster")
    for group, medians in groups.items():
        outside = [time for name, time in medians.items() if name.startswith("outside")]
        terminalreporter.write_line(group)
        for name, time in sorted(medians.items(), key=lambda item: item[1]):
            ratios = [f"{time / medians['reference']:.2f} of the reference"] if "reference" in medians else []
            ratios += [f"{time / min(outside):.2f} of the best outside"] if outside else []
            terminalreporter.write_line(f"  {name:<22} {time * 1e6:10.1f} µs   {'   '.join(ratios)}")
