"""Interleaved timing in one process: each round runs every contender once, so that other load affects all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


def interleaved(
    functions: Mapping[str, Callable[[], Any]], rounds: int, device: str, *, seconds: float = 60.0
) -> dict[str, dict[str, float]]:
    """Name → median, p20 and p80 in seconds of at least five rounds; fewer than `rounds` once `seconds` have passed.

    On a GPU each call is between two events, after a write that evicts the L2 cache and a pause of the device, three times
    as long as the CPU needs for the call, so that the time to launch is not counted: compiled training does not wait for it.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    flush = torch.empty(2**28, dtype=torch.uint8, device=device) if device == "cuda" else None
    pauses = {name: 3 * _seconds_to_launch(function) for name, function in functions.items() if flush is not None}
    started = time.perf_counter()
    for done in range(rounds):
        if done >= 5 and time.perf_counter() - started > seconds:
            break
        for name, function in functions.items():
            times[name].append(_one(function, flush, pauses.get(name, 0.0)))
    return {name: summary(values) for name, values in times.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median, 20th and 80th percentile; of a single value itself."""
    if len(values) == 1:
        return dict.fromkeys(("median", "p20", "p80"), values[0])
    deciles = statistics.quantiles(values, n=10, method="inclusive")
    return {"median": statistics.median(values), "p20": deciles[1], "p80": deciles[7]}


def _seconds_to_launch(function: Callable[[], Any]) -> float:
    """What a call takes the CPU, the device's work not waited for; the slower of two."""
    seconds = []
    for _ in range(2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    torch.cuda.synchronize()
    return max(seconds)


def _one(function: Callable[[], Any], flush: torch.Tensor | None, pause: float) -> float:
    if flush is None:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    flush.zero_()
    torch.cuda._sleep(int(2e9 * pause))  # in cycles of at most 2 GHz
    before.record()
    function()
    after.record()
    after.synchronize()
    return before.elapsed_time(after) / 1e3
