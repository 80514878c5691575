"""Benchmark of checkpoint saves: the time that training stalls, asynchronous and synchronous, and that of a memory copy.

    python -m gpt_from_scratch.benchmarks.cpu.checkpoint_stall [--parameters 30e6] [--rounds 7] [--interval 100]

The state is that of AdamW: weights and two moments. A round measures, one after the other: `clone` of every tensor, a
copy into buffers that were used before (what an asynchronous save does), `save(wait=False)` until it returns, the same
until all is on the disk, and `save(wait=True)`. Nothing else runs while it measures but the writer itself. Then training
steps, with an asynchronous save before each `interval` of them and without, in turns: what saving costs a run, the writer's
share of the cores included.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.checkpoints import CheckpointStore, bytes_of


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=float, default=30e6, help="about how many; the depth follows")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--interval", type=int, default=100, help="steps between two saves; 0 leaves that part out")
    given = parser.parse_args()
    tokenizer = CharacterTokenizer.from_text("".join(map(chr, range(32, 127))))
    layers = max(1, round(given.parameters / (12 * 512**2)))
    model = GPT(GPTConfig(block_size=256, vocab_size=tokenizer.n_vocab, n_layer=layers, n_head=8, n_embd=512))
    weights = dict(model.state_dict())
    moments = {
        f"{kind}.{name}": torch.randn_like(t) for name, t in weights.items() for kind in ("exp_avg", "exp_avg_sq")
    }
    state = [*weights.values(), *moments.values()]
    buffers = [torch.zeros_like(tensor) for tensor in state]
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        seconds.setdefault(name, []).append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder))
        step = 0

        def save(wait: bool) -> None:
            nonlocal step
            step += 1
            store.save(
                step, config=model.config, weights=weights, tokenizer=tokenizer, tensors=moments, state={}, wait=wait
            )

        for _ in range(given.rounds + 1):
            timed("clone", lambda: [tensor.clone() for tensor in state])
            timed(
                "copy into used buffers", lambda: [to.copy_(tensor) for to, tensor in zip(buffers, state, strict=True)]
            )
            start = time.perf_counter()
            timed("save(wait=False) returns", lambda: save(wait=False))
            store.finish()
            seconds.setdefault("save(wait=False) is on the disk", []).append(time.perf_counter() - start)
            timed("save(wait=True)", lambda: save(wait=True))

        costs = []
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        tokens = torch.randint(model.config.vocab_size, (1, model.config.block_size + 1))

        def interval(saves: bool) -> float:
            start = time.perf_counter()
            if saves:
                save(wait=False)
            for _ in range(given.interval):
                model(tokens[:, :-1], tokens[:, 1:]).backward()
                optimizer.step()
                optimizer.zero_grad()
            store.finish()
            return time.perf_counter() - start

        if given.interval:
            interval(saves=True)
            costs = [(interval(saves=False), interval(saves=True)) for _ in range(given.rounds)]
    print(
        f"{model.num_parameters() / 1e6:.1f}M parameters, {bytes_of(state) / 1e6:.0f} MB of state, torch "
        f"{torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} rounds after one to warm up"
    )
    print(f"{'seconds':34}{'first':>8}{'median':>8}{'p20':>8}{'p80':>8}")
    for name, (first, *rest) in seconds.items():
        p20, *_, p80 = statistics.quantiles(rest, n=5)
        print(f"{name:34}{first:8.3f}{statistics.median(rest):8.3f}{p20:8.3f}{p80:8.3f}")
    if costs:
        without, with_save = (statistics.median(times) for times in zip(*costs, strict=True))
        share = statistics.median(saving / plain - 1 for plain, saving in costs)
        print(
            f"{given.interval} steps of {model.config.block_size} tokens take {without:.2f} s, with a save among them "
            f"{with_save:.2f} s; median overhead of {given.rounds} pairs: {share:+.1%}"
        )


if __name__ == "__main__":
    main()
