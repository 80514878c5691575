"""HellaSwag (Zellers et al. 2019), in the two styles in which its figures are published, with every norm in one pass.

completion  context and endings as they are, encoded apart (the nanoGPT family; GPT-2 124M: acc_norm_token 0.2955)
lm_eval     texts cleaned and encoded together as lm-evaluation-harness does it (GPT-2 124M: acc_norm_char 0.3114)
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.evals.protocol.stats import proportion_interval
from gpt_from_scratch.evals.scoring.choices import STYLES as STYLES
from gpt_from_scratch.evals.scoring.data import read_jsonl, require, take, take_index, take_texts
from gpt_from_scratch.evals.scoring.loglikelihood import (
    BATCH_TOKENS,
    Continuation,
    Scorable,
    encode_pair,
    loglikelihoods,
)
from gpt_from_scratch.tokenizer.protocol import Tokenizer

HOW_TO_GET = (
    "HellaSwag's validation set is one file of 10,042 lines: bring "
    "https://raw.githubusercontent.com/rowanz/hellaswag/master/data/hellaswag_val.jsonl there, or name another file."
)


@dataclass(frozen=True)
class HellaSwagItem:
    """One question. `name` tells it from the others; `ctx` is "ctx_a ctx_b"."""

    name: str
    activity_label: str
    ctx: str
    ctx_a: str
    ctx_b: str
    endings: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class ItemScores:
    """One question in one style: each ending's log-probability in nats, and its size by each norm."""

    item: HellaSwagItem
    logprobs: tuple[float, ...]
    tokens: tuple[int, ...]
    chars: tuple[int, ...]
    bytes: tuple[int, ...]

    def choice(self, norm: str) -> int:
        """The ending with the highest log-probability, per token, char or byte if `norm` says so; the first of equals."""
        values = self.values(norm)
        return values.index(max(values))

    def values(self, norm: str) -> list[float]:
        """Each ending's log-probability by a norm: "sum", "token", "char" or "byte"."""
        sizes = (1,) * len(self.logprobs) if norm == "sum" else getattr(self, NORMS[norm])
        return [logprob / size for logprob, size in zip(self.logprobs, sizes, strict=True)]


NORMS = {"sum": "", "token": "tokens", "char": "chars", "byte": "bytes"}


@dataclass(frozen=True)
class Accuracy:
    """Accuracy over `n` questions, with the exact 95 % interval."""

    correct: int
    n: int

    @property
    def value(self) -> float:
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        return proportion_interval(self.correct, self.n)


@dataclass(frozen=True)
class HellaSwagResult:
    """The scores of every question in every style that was asked for."""

    scores: dict[str, list[ItemScores]]

    def accuracies(self) -> dict[str, Accuracy]:
        """Accuracies by name: "style/acc", "style/acc_norm_token", "style/acc_norm_char" and "style/acc_norm_byte"."""
        found = {}
        for style, rows in self.scores.items():
            for norm in NORMS:
                correct = sum(row.choice(norm) == row.item.label for row in rows)
                name = "acc" if norm == "sum" else f"acc_norm_{norm}"
                found[f"{style}/{name}"] = Accuracy(correct, len(rows))
        return found


def evaluate_hellaswag(
    model: Scorable,
    tokenizer: Tokenizer,
    data: str | Path | Sequence[HellaSwagItem],
    *,
    styles: Sequence[str] = STYLES,
    limit: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> HellaSwagResult:
    """Score a file, or items read before. `limit` takes the first ones only. On every rank alike, see `loglikelihoods`.

    Raises:
        FileNotFoundError: no such file; says how to get it.
        ValueError: a line that is not a HellaSwag question, an unknown style, or nothing to score.
    """
    if unknown := [style for style in styles if style not in STYLES]:
        raise ValueError(f"there is no style {unknown[0]!r} of HellaSwag; there are {', '.join(STYLES)}")
    items = read_items(Path(data)) if isinstance(data, str | Path) else list(data)
    items = items[:limit]
    if not items:
        raise ValueError("no HellaSwag questions to score")
    requests = [request for style in styles for item in items for request in continuations(item, tokenizer, style)]
    results = iter(loglikelihoods(model, requests, batch_tokens=batch_tokens, progress=progress))
    scores: dict[str, list[ItemScores]] = {}
    for style in styles:
        scores[style] = []
        for item in items:
            mine = [next(results) for _ in item.endings]
            texts = [ending if style == "completion" else cleaned(ending) for ending in item.endings]
            scores[style].append(
                ItemScores(
                    item,
                    tuple(score.logprob for score in mine),
                    tuple(score.tokens for score in mine),
                    tuple(max(1, len(text)) for text in texts),
                    tuple(max(1, len(text.encode())) for text in texts),
                )
            )
    return HellaSwagResult(scores)


def continuations(item: HellaSwagItem, tokenizer: Tokenizer, style: str) -> list[Continuation]:
    """One request an ending."""
    if style == "completion":
        context = tuple(tokenizer.encode_ordinary(item.ctx)) or (tokenizer.eot_token,)
        return [Continuation(context, tuple(tokenizer.encode_ordinary(" " + ending))) for ending in item.endings]
    # str.capitalize also makes the rest lower case; that is how the published figures were made.
    query = cleaned(f"{item.activity_label}: {item.ctx_a} {item.ctx_b.capitalize()}")
    return [encode_pair(tokenizer, query, " " + cleaned(ending)) for ending in item.endings]


def cleaned(text: str) -> str:
    """lm-evaluation-harness's cleaning: WikiHow's markers go, and so does one of two spaces."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def read_items(path: Path) -> list[HellaSwagItem]:
    """The questions of a file with one JSON object a line, as HellaSwag publishes them (label a number or its digits).

    Raises:
        FileNotFoundError: no such file; says how to get it.
        ValueError: a line that is not a question.
    """
    require(path, HOW_TO_GET)
    items = []
    for number, (where, row) in enumerate(read_jsonl(path)):
        endings = take_texts(row, "endings", where)
        if row.get("label") == "":
            raise ValueError(f"{where} has no label: the test set's answers are not public, use the validation set")
        items.append(
            HellaSwagItem(
                name=str(row.get("ind", number)),
                activity_label=take(row, "activity_label", str, where),
                ctx=take(row, "ctx", str, where),
                ctx_a=take(row, "ctx_a", str, where),
                ctx_b=take(row, "ctx_b", str, where),
                endings=tuple(endings),
                label=take_index(row, "label", len(endings), where),
            )
        )
    return items
