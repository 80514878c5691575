"""The model card of a run: the README.md of a model's folder, in the format of Hugging Face's hub.

It is generated from the run's files. It reveals no path of the machine: only a path's last part is kept.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.models.interchange.pretrained import OWN_MODEL_TYPE, model_type
from gpt_from_scratch.training.metrics.record import metrics
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.report.licence import LICENCE, UNKNOWN
from gpt_from_scratch.training.report.run_data import Run

MOST_ROWS = 12
"""Maximum number of validations in the card, including the best and the last."""
_PATH = re.compile(r"(?:file://|~|[A-Za-z]:)?[/\\](?:[^/\\]*[/\\])*([^/\\]*)")


def model_card(run: Run, model: GPTConfig, step: int, licence: str = UNKNOWN) -> str:
    """The card of a run's `model` at `step`, in Markdown. Unknown facts are left out.

    Raises:
        ValueError: the licence is not an identifier such as "mit" or "apache-2.0".
    """
    if not LICENCE.fullmatch(licence):
        raise ValueError(f"the licence is {licence!r}, expected an identifier such as mit, apache-2.0 or cc-by-4.0")
    evals = [one for one in run.of(Eval) if one.step <= step]
    return "\n".join(
        [
            "---",
            f"license: {licence}",
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "tags:",
            "- gpt_from_scratch",
            "---",
            "",
            f"# {_plain(run.name)}",
            "",
            *_introduction(run, model),
            "",
            *_usage(model),
            "",
            "## How it was trained",
            "",
            *_table(("", ""), _training(run, model, step)),
            *_command(run),
            "",
            *_losses(run, evals),
            "",
        ]
    )


def without_paths(words: Sequence[str]) -> list[str]:
    """A command's arguments, with absolute and home paths shortened to their last part."""
    shortened = []
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        found = _PATH.fullmatch(value.rstrip("/\\"))
        shortened.append(f"{option}{equals}{found[1]}" if found else word)
    return shortened


def _introduction(run: Run, model: GPTConfig) -> list[str]:
    count = run.facts.get("parameters")
    size = f"{count:,} parameters: " if isinstance(count, int) else ""
    return [
        f"A GPT language model, trained from scratch with gpt_from_scratch. It has {size}{model.n_layer} layers, "
        f"{model.n_head} heads, a width of {model.n_embd}, a context of {model.block_size:,} tokens and {model.vocab_size:,} "
        "token ids."
    ]


def _usage(model: GPTConfig) -> list[str]:
    kind = model_type(model)
    own = kind == OWN_MODEL_TYPE
    trust = ", trust_remote_code=True" if own else ""
    return [
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'folder = "."  # where this file lies',
        f"tokenizer = AutoTokenizer.from_pretrained(folder{trust})",
        f"model = AutoModelForCausalLM.from_pretrained(folder{trust})",
        "```",
        "",
        "`trust_remote_code` runs the two Python files of this folder: read them first."
        if own
        else f"The architecture is exactly that of the model type {kind}, so transformers' own class opens it.",
    ]


def _training(run: Run, model: GPTConfig, step: int) -> Iterable[tuple[str, str]]:
    config = run.config
    data, optimizer = _object(config.get("data")), _object(config.get("optimizer"))
    if source := data.get("source"):
        path = data.get("path")
        yield "data", f"{source}{f' ({PurePath(str(path)).name})' if path else ''}"
    if source == "stories":
        yield "stories", f"{data.get('n_stories')} for training, {data.get('n_validation')} for validation"
    yield "tokenizer", PurePath(str(data.get("tokenizer", UNKNOWN))).name
    if config.get("init_from"):
        yield "began from", PurePath(str(config["init_from"])).name
    yield "architecture", "GPT-2's" + "".join(f", {switch}" for switch in model.beyond_gpt2())
    yield "preset", str(config.get("preset", UNKNOWN))
    yield "step", f"{step:,} of {config.get('steps', UNKNOWN)}"
    per_step = run.facts.get("tokens_per_step")
    if isinstance(per_step, int):
        yield "tokens seen", f"{step * per_step:,} ({per_step:,} a step)"
    if optimizer.get("name"):
        yield "optimizer", f"{optimizer['name']}, learning rate {optimizer.get('lr')}"
    yield "seed", str(config.get("seed", UNKNOWN))
    for name in ("device", "dtype"):
        if run.facts.get(name):
            yield name, str(run.facts[name])
    versions = _object(run.facts.get("versions"))
    if versions:
        yield "versions", ", ".join(f"{name} {versions[name]}" for name in ("python", "torch") if name in versions)


def _command(run: Run) -> list[str]:
    words = run.facts.get("command")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words) or not words:
        return []
    program, *rest = without_paths(words)  # the program's name may be two words
    return ["", "The command:", "", f"    {_line(' '.join([program, *map(shlex.quote, rest)]))}"]


def _losses(run: Run, evals: list[Eval]) -> list[str]:
    lines = ["## How good it is", ""]
    floor = run.facts.get("floor_nats_per_token")
    if isinstance(floor, float):
        lines += [
            f"The entropy of the validation text is known exactly: {floor:.4f} nats per token. It is the floor: no model "
            "can do better.",
            "",
        ]
    if not evals:
        return [*lines, "It was not validated before it was saved."]
    shown = {
        name: metric
        for name, metric in metrics(Eval).items()
        if metric.result and any(getattr(one, name) is not None for one in evals)
    }
    rows = [
        (f"{one.step:,}", *(metric.text(getattr(one, name)) for name, metric in shown.items()))
        for one in _thinned(evals)
    ]
    return [*lines, *_table(("step", *(metric.heading for metric in shown.values())), rows)]


def _thinned(evals: list[Eval]) -> list[Eval]:
    """A selection of the validations, evenly spaced, with the best and the last."""
    apart = -(-len(evals) // MOST_ROWS)
    best = min(evals, key=lambda one: float("inf") if one.loss is None else one.loss)
    return [one for place, one in enumerate(reversed(evals)) if place % apart == 0 or one is best][::-1]


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return [f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split(" "))


def _plain(text: str) -> str:
    """Text with Markdown and HTML escaped."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", _line(text)) if text != "---" else text
