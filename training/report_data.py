"""What a run's folder says of the run, read for its report: config.json, run.json and metrics.jsonl, each line checked."""

import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

CONFIG_FILE, RUN_FILE, METRICS_FILE = "config.json", "run.json", "metrics.jsonl"


@dataclass(frozen=True)
class Train:
    """A logged training step. Losses are nats a token."""

    step: int
    loss: float | None
    lr: float
    grad_norm: float | None
    tokens_per_s: float
    mfu: float | None
    seconds: float
    lr_of: str | None = None
    """The optimizer whose rate `lr` is: the one that moves the model most. Older runs do not say (and gave AdamW's first)."""


@dataclass(frozen=True)
class Eval:
    """A validation: loss in nats a token, nats in total, the floor's nats for the same stories, their ratio."""

    step: int
    loss: float | None
    nats: float | None
    floor_nats: float | None
    ratio: float | None
    bits_per_byte: float | None
    seconds: float


@dataclass(frozen=True)
class Sample:
    """What the model wrote after a prompt; whether the grammar accepts it and the training text lacks it, if known."""

    step: int
    text: str
    prompt: str
    grammatical: bool | None
    novel: bool | None


@dataclass(frozen=True)
class Event:
    """Something that happened: a resume, a skipped step, an interruption."""

    step: int
    message: str


GPT2_HELLASWAG = 0.2955
"""acc_norm of OpenAI's GPT-2 124M, completion style (build-nanogpt)."""


@dataclass(frozen=True)
class HellaSwag:
    """The part of HellaSwag's n questions that is right, by log-probability a token (`acc_norm`) and in all (`acc`)."""

    step: int
    acc_norm: float
    acc: float
    n: int
    seconds: float


Record = Train | Eval | Sample | Event | HellaSwag
MAX_STEP = 2**53
"""Beyond it a step is not a step, and no longer exact as a float."""
KINDS: dict[str, type[Record]] = {
    "train": Train,
    "eval": Eval,
    "sample": Sample,
    "event": Event,
    "hellaswag": HellaSwag,
}
R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Run:
    """All that was found, and what was wrong with it in words."""

    folder: Path
    config: dict[str, Any]
    facts: dict[str, Any]
    records: tuple[Record, ...]
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the run calls itself, else its folder's name."""
        name = self.facts.get("name")
        return name if isinstance(name, str) and name else self.folder.absolute().name

    def of(self, kind: type[R]) -> list[R]:
        """The records of one kind, by step."""
        return sorted((record for record in self.records if isinstance(record, kind)), key=lambda record: record.step)


def read_run(folder: Path) -> Run:
    """Read a run's folder. What is damaged is left out and named in `warnings`.

    Raises:
        FileNotFoundError: The folder does not exist or is no run: it holds no metrics.jsonl.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: give the folder of a run, such as runs/NAME")
    if not (folder / METRICS_FILE).is_file():
        raise FileNotFoundError(
            f"{folder} is not a run: it holds no {METRICS_FILE}. A run's folder is the one under runs/"
        )
    warnings: list[str] = []
    config, facts = (_read_object(folder / name, warnings) for name in (CONFIG_FILE, RUN_FILE))
    records = tuple(latest(_read_records(folder / METRICS_FILE, warnings)))
    if not records:
        warnings.append(f"{METRICS_FILE} holds no measurement yet")
    return Run(folder, config, facts, records, tuple(warnings))


def _read_object(path: Path, warnings: list[str]) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        warnings.append(f"{path.name} is missing")
        return {}
    except (ValueError, RecursionError) as error:
        warnings.append(f"{path.name} is damaged: {error}")
        return {}
    if not isinstance(found, dict):
        warnings.append(f"{path.name} is damaged: it holds a {type(found).__name__}, expected an object")
        return {}
    return found


def _read_records(path: Path, warnings: list[str]) -> Iterator[Record]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield parse(json.loads(line.decode("utf-8")))
        except (ValueError, RecursionError, OverflowError) as error:
            warnings.append(f"{path.name}, line {number}, is left out: {error}")


def parse(found: object) -> Record:
    """A line of metrics.jsonl as a record.

    Raises:
        ValueError: It is not an object, of no known kind, or a field is missing or of a wrong type.
    """
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, expected an object")
    kind = KINDS.get(str(found.get("kind")))
    if kind is None:
        raise ValueError(f"its kind is {found.get('kind')!r}, expected one of {', '.join(KINDS)}")
    values: dict[str, Any] = {}
    for field in fields(kind):
        allowed = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
        value = found.get(field.name)
        if float in allowed and type(value) is int:
            value = float(value)
        if type(value) not in allowed:
            names = " or ".join(one.__name__ for one in allowed if one is not types.NoneType)
            raise ValueError(f"{field.name} is {value!r}, expected {names}")
        values[field.name] = value
    if not 0 <= values["step"] <= MAX_STEP:
        raise ValueError(f"step is {values['step']}, expected 0 to {MAX_STEP}")
    return kind(**values)


def latest(records: Iterator[Record]) -> list[Record]:
    """The records that count where a resumed run has logged steps again.

    A training line whose step has been seen begins a new stretch; of one kind and step only the lines of the last stretch
    count, of training and validation only the last. A step may have several samples and events.
    """
    stretch, furthest = 0, -1
    kept: dict[tuple[type[Record], int], tuple[int, list[Record]]] = {}
    for record in records:
        if isinstance(record, Train):
            stretch += record.step <= furthest
            furthest = record.step
        key = (type(record), record.step)
        if key not in kept or kept[key][0] < stretch or isinstance(record, Train | Eval | HellaSwag):
            kept[key] = (stretch, [])
        kept[key][1].append(record)
    return [record for _, group in kept.values() for record in group]


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"model": {"n_layer": 4}}`` as ``{"model.n_layer": 4}``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(runs: list[Run]) -> dict[str, list[Any]]:
    """The settings in which runs differ: dotted name to each run's value, in the order of the runs ("" where it has none)."""
    configs = [flatten(run.config) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    values = {name: [config.get(name, "") for config in configs] for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found[1:])}
