"""The lines of metrics.jsonl, each of a known kind with fields of known types."""

import types
import typing
from dataclasses import dataclass, fields
from typing import Any


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


def as_line(record: Record) -> tuple[str, dict[str, Any]]:
    """The kind of a record, and the fields that belong to it: without its step and its time."""
    kind = next(name for name, made in KINDS.items() if isinstance(record, made))
    left_out = ("step", "seconds")
    return kind, {field.name: getattr(record, field.name) for field in fields(record) if field.name not in left_out}
