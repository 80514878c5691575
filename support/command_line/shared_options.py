"""Options that have the same name and meaning in every command; docs/reference/options.md lists them."""

from typing import NamedTuple


class Shared(NamedTuple):
    """An option, its meaning, and its names in earlier releases, which are aliases."""

    name: str
    about: str
    older: tuple[str, ...] = ()


SHARED = (
    Shared("RUN", "a trained model: the folder of a run, a checkpoint or a model", ("--checkpoint",)),
    Shared("--ema", "use the moving average of the weights, if the run has one"),
    Shared("--out", "the output: a folder or a file", ("--output", "--html")),
    Shared("--steps", "optimizer steps"),
    Shared("--seed", "the random seed"),
    Shared(
        "--num", "the number of items: samples, questions, activations", ("--num-problems", "--n-samples", "--n-tokens")
    ),
    Shared(
        "--max-tokens", "the maximum length of generated text, in tokens", ("--max-new-tokens", "--sample-characters")
    ),
    Shared("--limit", "use only the first N items of a data set"),
    Shared("--data", "the text: a file, a folder, or prepared shards"),
    Shared("--tokenizer", "a tokenizer: a kind to learn, a name, or a file"),
    Shared("--vocab-size", "the vocabulary size of a tokenizer to learn"),
    Shared("--prompt", "the beginning of each text"),
    Shared("--temperature", "the sampling temperature: 0 always takes the most likely token"),
    Shared("--top-k", "sample only from the N most likely tokens"),
    Shared("--top-p", "sample from the most likely tokens with this total probability"),
    Shared("--device", "cpu, cuda, mps, or auto: the accelerator if there is one"),
    Shared("--dtype", "fp32 or bf16"),
    Shared("--backend", "the kernel backends"),
    Shared("--threads", "CPU threads"),
    Shared("--base-url", "the address of the model's server", ("--url",)),
    Shared("--open", "open the page in a browser"),
)
OLDER = {older: shared.name for shared in SHARED for older in shared.older}
