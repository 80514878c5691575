"""The CORE metric: the mean centred accuracy over the in-context-learning tasks of the DataComp-LM bundle (Li et al. 2024).

Three types of task: multiple choice (which of the continuations is likeliest), schema (after which of the contexts is
the continuation likeliest), both by the mean over tokens, and language modelling (is the continuation what the model
would say, token by token). Prompts, few-shot draws and the order of items follow nanochat, so that figures compare:
GPT-2 124M has 0.1139, 355M 0.1849, 774M 0.2146, 1558M 0.2565.
"""

import csv
import hashlib
import importlib
import io
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt_from_scratch.evals.protocol.stats import interval_of_sum, proportion_interval
from gpt_from_scratch.evals.scoring.data import Place, read_jsonl, require, take, take_index, take_texts, text_of
from gpt_from_scratch.evals.scoring.loglikelihood import (
    BATCH_TOKENS,
    Continuation,
    ContinuationScore,
    Scorable,
    loglikelihoods,
)
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.tokenizer.protocol import Tokenizer

HOW_TO_GET = (
    "The CORE metric's bundle (core.yaml, eval_meta_data.csv, eval_data/) is one archive: bring "
    "https://karpathy-public.s3.us-west-2.amazonaws.com/eval_bundle.zip there, as it is or unpacked."
)
TASK_TYPES = ("multiple_choice", "schema", "language_modeling")


@dataclass(frozen=True)
class CoreTask:
    """One task of the bundle. `baseline` is the accuracy of random guessing, from 0 to 1."""

    label: str
    kind: str
    data: Place
    shots: int
    delimiter: str
    baseline: float


@dataclass(frozen=True)
class CoreQuestion:
    """An item as a reader would see it, without the examples before it.

    choices: what may stand after `text`, or, in a schema, before it
    gold: the choice that is right; None: the one choice must be what the model would say
    """

    text: str
    choices: tuple[str, ...]
    gold: int | None


@dataclass(frozen=True)
class CoreAnswer:
    """A model's answer to a question: each choice's mean log-probability in nats per token.

    examples: a hash of the examples before the question, empty where there are none
    """

    question: CoreQuestion
    means: tuple[float, ...]
    greedy: bool
    examples: str = ""

    @property
    def choice(self) -> int | None:
        """The likeliest choice, the first of equals; where there is but one, None if the model would say something else."""
        if self.question.gold is None:
            return 0 if self.greedy else None
        return self.means.index(max(self.means))

    @property
    def correct(self) -> bool:
        """Whether the choice is the right one."""
        return self.choice == (self.question.gold or 0)


@dataclass(frozen=True)
class TaskResult:
    """A task's accuracy over `n` items; `centred` is 0 for guessing and 1 for perfection. `answers` are in the items' order."""

    task: CoreTask
    answers: tuple[CoreAnswer, ...]

    @property
    def correct(self) -> tuple[bool, ...]:
        return tuple(answer.correct for answer in self.answers)

    @property
    def n(self) -> int:
        return len(self.answers)

    @property
    def accuracy(self) -> float:
        return sum(self.correct) / self.n

    @property
    def centred(self) -> float:
        return self.centre(self.accuracy)

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of the accuracy."""
        return proportion_interval(sum(self.correct), self.n)

    def centre(self, accuracy: float) -> float:
        """An accuracy of this task on the scale of `centred`."""
        return (accuracy - self.task.baseline) / (1 - self.task.baseline)


@dataclass(frozen=True)
class Core:
    """Every task's result; `value` is the CORE metric."""

    tasks: tuple[TaskResult, ...]

    @property
    def value(self) -> float:
        return sum(result.centred for result in self.tasks) / len(self.tasks)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `value`, from the intervals of the tasks."""
        ends = [(task.centred, (task.centre(task.interval[0]), task.centre(task.interval[1]))) for task in self.tasks]
        low, high = interval_of_sum(ends)
        return low / len(self.tasks), high / len(self.tasks)


@dataclass(frozen=True)
class Prompt:
    """The requests of a question: one per choice."""

    question: CoreQuestion
    requests: tuple[Continuation, ...]
    examples: str = ""

    def answer(self, scores: Sequence[ContinuationScore]) -> CoreAnswer:
        """The answer from the requests' scores."""
        return CoreAnswer(
            self.question, tuple(score.logprob / score.tokens for score in scores), scores[0].greedy, self.examples
        )


def evaluate_core(
    model: Scorable,
    tokenizer: Tokenizer,
    bundle: str | Path,
    *,
    limit: int | None = None,
    only: Sequence[str] = (),
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[str, int, int], None] = lambda task, done, total: None,
) -> Core:
    """Score the bundle's tasks, or those that `only` names; `limit` takes that many items of each. On every rank alike.

    progress: called with the task, the batches done and their number.

    Raises:
        FileNotFoundError: no bundle; says how to get it.
        ValueError: a file of the bundle that cannot be understood, or a name in `only` that it does not have.
    """
    tasks = read_tasks(open_bundle(Path(bundle)))
    labels = [task.label for task in tasks]
    if unknown := [name for name in only if name not in labels]:
        raise ValueError(f"the bundle has no task {unknown[0]!r}; it has {', '.join(labels)}")
    results = []
    for task in tasks:
        if only and task.label not in only:
            continue
        prompts = read_prompts(task, tokenizer, model.config.block_size, limit)
        requests = [request for prompt in prompts for request in prompt.requests]

        def report(done: int, total: int, label: str = task.label) -> None:
            progress(label, done, total)

        scores = iter(loglikelihoods(model, requests, batch_tokens=batch_tokens, progress=report))
        answers = tuple(prompt.answer([next(scores) for _ in prompt.requests]) for prompt in prompts)
        results.append(TaskResult(task, answers))
    return Core(tuple(results))


def open_bundle(path: Path) -> Place:
    """The folder of the bundle, in a zip or unpacked, beside or one below. Raises FileNotFoundError."""
    require(path, HOW_TO_GET)
    root: Place = zipfile.Path(path) if path.is_file() and zipfile.is_zipfile(path) else path
    for place in (root, root / "eval_bundle"):
        if (place / "core.yaml").exists():
            return place
    raise FileNotFoundError(f"there is no core.yaml in {path}. {HOW_TO_GET}")


def read_tasks(bundle: Place) -> list[CoreTask]:
    """The tasks that core.yaml lists, with the baselines of eval_meta_data.csv (there in percent)."""
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        raise RuntimeError(f"reading core.yaml needs PyYAML: {how_to_install('evals')}") from error
    baselines = _baselines(bundle / "eval_meta_data.csv")
    where = str(bundle / "core.yaml")
    try:
        described = yaml.safe_load(text_of(bundle / "core.yaml"))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{where} is not YAML: {' '.join(str(error).split())}. {HOW_TO_GET}") from error
    if not isinstance(described, dict):
        raise ValueError(f"{where} is not a list of tasks under 'icl_tasks'. {HOW_TO_GET}")
    tasks = []
    for row in take(described, "icl_tasks", list, where):
        if not isinstance(row, dict):
            raise ValueError(f"{where}: a task must be an object, it is {row!r}")
        label = take(row, "label", str, where)
        kind = take(row, "icl_task_type", str, f"{where}, {label}")
        if kind not in TASK_TYPES:
            raise ValueError(f"{where}, {label}: the type {kind!r} is none of {', '.join(TASK_TYPES)}")
        if label not in baselines:
            raise ValueError(f"{bundle / 'eval_meta_data.csv'} has no baseline for {label!r}")
        uri = take(row, "dataset_uri", str, f"{where}, {label}")
        shots = take(row, "num_fewshot", list, f"{where}, {label}")[:1]
        if not shots or type(shots[0]) is not int or shots[0] < 0:
            raise ValueError(f"{where}, {label}: 'num_fewshot' must be a list with a whole number, it begins {shots!r}")
        data = bundle / "eval_data" / uri
        require(data, HOW_TO_GET)
        tasks.append(CoreTask(label, kind, data, shots[0], row.get("continuation_delimiter", " "), baselines[label]))
    if not tasks:
        raise ValueError(f"{where} lists no tasks")
    return tasks


def _baselines(path: Place) -> dict[str, float]:
    """The accuracy of guessing for each task, from 0 to 1."""
    require(path, HOW_TO_GET)
    rows = csv.DictReader(io.StringIO(text_of(path), newline=""))
    try:
        return {row["Eval Task"]: float(row["Random baseline"]) / 100 for row in rows}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path}, line {rows.line_num}, has no task with its baseline in percent ({error!r}). {HOW_TO_GET}"
        ) from error


def read_prompts(task: CoreTask, tokenizer: Tokenizer, context: int, limit: int | None = None) -> list[Prompt]:
    """The task's items as requests, in the public order: shuffled with seed 1337, then cut to `limit`.

    Item i's examples are drawn with seed 1234 + i from the other items, as many of them as there are.
    """
    rows = list(read_jsonl(task.data))
    random.Random(1337).shuffle(rows)
    items = [_check(row, task.kind, where) for where, row in rows[:limit]]
    if not items:
        raise ValueError(f"{task.data} has no items")
    prompts = []
    for index, item in enumerate(items):
        others = [i for i in range(len(items)) if i != index]
        drawn = random.Random(1234 + index).sample(others, min(task.shots, len(others)))
        prompts.append(_prompt(task, item, [items[i] for i in drawn], tokenizer, context))
    return prompts


def _check(row: dict[str, Any], kind: str, where: str) -> dict[str, Any]:
    if kind == "multiple_choice":
        take(row, "query", str, where)
        return {**row, "gold": take_index(row, "gold", len(take_texts(row, "choices", where)), where)}
    take(row, "continuation", str, where)
    if kind == "schema":
        return {**row, "gold": take_index(row, "gold", len(take_texts(row, "context_options", where)), where)}
    take(row, "context", str, where)
    return row


def _prompt(
    task: CoreTask, item: dict[str, Any], examples: list[dict[str, Any]], tokenizer: Tokenizer, context: int
) -> Prompt:
    shots = "".join(_solved(task, example) + "\n\n" for example in examples)
    before = hashlib.sha256(shots.encode("utf-8", "surrogatepass")).hexdigest() if shots else ""
    if task.kind == "language_modeling":
        # Stripped: a space at the prompt's end would be part of the continuation's first token.
        given = (shots + item["context"].strip() + task.delimiter).strip()
        start = len(encode(tokenizer, given))
        whole = encode(tokenizer, shots + item["context"].strip() + task.delimiter + item["continuation"])
        question = CoreQuestion(item["context"].strip(), (item["continuation"],), None)
        return Prompt(question, (_cut(whole, start, context),), before)
    if task.kind == "multiple_choice":
        texts = [shots + item["query"] + task.delimiter + choice for choice in item["choices"]]
        sequences = [encode(tokenizer, text) for text in texts]
        shared = common_prefix(sequences)
        question = CoreQuestion(item["query"], tuple(item["choices"]), item["gold"])
        return Prompt(question, tuple(_cut(tokens, shared, context) for tokens in sequences), before)
    texts = [shots + option + task.delimiter + item["continuation"] for option in item["context_options"]]
    sequences = [encode(tokenizer, text) for text in texts]
    shared = common_prefix([tokens[::-1] for tokens in sequences])
    question = CoreQuestion(item["continuation"], tuple(item["context_options"]), item["gold"])
    return Prompt(question, tuple(_cut(tokens, len(tokens) - shared, context) for tokens in sequences), before)


def _solved(task: CoreTask, example: dict[str, Any]) -> str:
    """An example with its answer."""
    if task.kind == "multiple_choice":
        return f"{example['query']}{task.delimiter}{example['choices'][example['gold']]}"
    if task.kind == "schema":
        return f"{example['context_options'][example['gold']]}{task.delimiter}{example['continuation']}"
    return f"{example['context'].strip()}{task.delimiter}{example['continuation']}"


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The text's tokens after an end-of-text token."""
    return [tokenizer.eot_token, *tokenizer.encode_ordinary(text)]


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the common prefix."""
    shortest = min(map(len, sequences))
    return next((i for i in range(shortest) if len({tokens[i] for tokens in sequences}) > 1), shortest)


def _cut(tokens: Sequence[int], start: int, context: int) -> Continuation:
    """Score tokens[start:], at least the last one, keeping the last `context` tokens unless the continuation needs more."""
    start = max(1, min(start, len(tokens) - 1))
    first = min(max(0, len(tokens) - context), start - 1)
    return Continuation(tuple(tokens[first:start]), tuple(tokens[start:]))
