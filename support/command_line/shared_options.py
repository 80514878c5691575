"""The options that mean one thing in every command, each with one name; docs/reference/options.md shows them."""

from typing import NamedTuple


class Shared(NamedTuple):
    """An option, what it means, and its names in earlier releases, which stay."""

    name: str
    about: str
    older: tuple[str, ...] = ()


SHARED = (
    Shared("RUN", "a trained model, by its place: a run, a checkpoint, a model's folder", ("--checkpoint",)),
    Shared("--ema", "the moving average of the model's weights, where its run kept one"),
    Shared("--out", "where the result goes: a folder, or a file where there is one", ("--output", "--html")),
    Shared("--steps", "optimizer steps"),
    Shared("--seed", "what makes it repeatable"),
    Shared("--num", "how many are made, read or asked", ("--num-problems", "--n-samples", "--n-tokens")),
    Shared("--max-tokens", "the longest text that is written, in tokens", ("--max-new-tokens", "--sample-characters")),
    Shared("--limit", "only the first so many of a data set"),
    Shared("--data", "the text: a file, a folder, or prepared shards"),
    Shared("--tokenizer", "a tokenizer: a kind that is learned, a name, or a file"),
    Shared("--vocab-size", "ids of a tokenizer that is learned"),
    Shared("--prompt", "how each text begins"),
    Shared("--temperature", "what divides the logits: 0 takes the most likely token"),
    Shared("--top-k", "choose among so many tokens only"),
    Shared("--top-p", "choose among the most likely tokens with this probability"),
    Shared("--device", "cpu, cuda, mps, or auto: the accelerator if there is one"),
    Shared("--dtype", "fp32 or bf16"),
    Shared("--backend", "which kernels compute"),
    Shared("--threads", "CPU threads"),
    Shared("--base-url", "the server that has the model", ("--url",)),
    Shared("--open", "open the page in a browser"),
)
OLDER = {older: shared.name for shared in SHARED for older in shared.older}
