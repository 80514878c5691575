"""Decoding steps as CUDA graphs: the host launches a step at once, instead of its hundreds of kernels.

This file has not run yet, for want of a GPU. The tests prove on a CPU what a graph needs: a step reads nothing on the host, and
its recorded operations, repeated, decode the next tokens.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.models.layers.decoding_cache import DecodingCache

Step = Callable[[Int[Tensor, "b 1"], DecodingCache], Float[Tensor, "b v"]]


class CapturedSteps:
    """A CUDA graph of the step per batch size; the graphs share one memory pool."""

    def __init__(self, step: Step, cache: DecodingCache) -> None:
        self._step, self._cache = step, cache
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Int[Tensor, "b 1"], Float[Tensor, "b v"]]] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, tokens: Int[Tensor, "b 1"]) -> Float[Tensor, "b v"]:
        """The logits of the step; the next call overwrites them."""
        if len(tokens) not in self._graphs:
            self._graphs[len(tokens)] = self._capture(tokens)
        graph, given, made = self._graphs[len(tokens)]
        given.copy_(tokens)
        graph.replay()
        self._cache.tick()
        return made

    def _capture(
        self, tokens: Int[Tensor, "b 1"]
    ) -> tuple[torch.cuda.CUDAGraph, Int[Tensor, "b 1"], Float[Tensor, "b v"]]:
        given, graph = tokens.clone(), torch.cuda.CUDAGraph()
        with torch.cuda.device(tokens.device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside), self._cache.rehearsal():  # kernels are compiled, libraries set up
                self._step(given, self._cache)
            torch.cuda.current_stream().wait_stream(aside)
            with self._cache.rehearsal(), torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
                made = self._step(given, self._cache)
        return graph, given, made
