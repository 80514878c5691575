"""Choices of backends: for a call's region, for the rest of a process, and for a run on its device."""

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch

from gpt_from_scratch.kernels.backends import EVERY_OP, Choice, as_choices, in_force, put_in_force, unknown
from gpt_from_scratch.kernels.registry import OPS, known_backends, load_ops


@contextlib.contextmanager
def use_backend(choice: "str | Mapping[str, str]") -> Iterator[None]:
    """Context with one backend ("torch"), or one per op ("attention=torch,layer_norm=reference" or a mapping).

    A single name binds every op that has such a backend. Not a ContextVar, hence not per thread.

    Raises:
        ValueError: an unknown op or backend.
    """
    below = {} if isinstance(choice, str) and "=" not in choice else in_force()
    before = put_in_force({**below, **parse_choice(choice)})
    try:
        yield
    finally:
        put_in_force(before)


def set_backend(choice: "str | Mapping[str, str]") -> None:
    """`use_backend` for the rest of the process."""
    put_in_force(parse_choice(choice))


def parse_choice(choice: "str | Mapping[str, str]") -> dict[str, str]:
    """Turn "torch", "attention=torch,layer_norm=reference" or a mapping into {op or "*": backend}, checked.

    Raises:
        ValueError: an unknown op or backend, naming the known ones and the nearest.
    """
    load_ops()
    wanted = as_choices(choice) if isinstance(choice, str) else dict(choice)
    for name, backend in wanted.items():
        if name != EVERY_OP and name not in OPS:
            raise ValueError(f"unknown op {unknown(name, OPS, 'op')}")
        known = known_backends() if name == EVERY_OP else OPS[name].backends
        if backend not in known:
            raise ValueError(("" if name == EVERY_OP else f"{name} has ") + unknown(backend, known))
    return wanted


def resolve(
    choice: "str | Mapping[str, str] | None",
    device: str | torch.device,
    arguments: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    *,
    deterministic: bool | None = None,
) -> list[Choice]:
    """Decide every op for a run on `device`, with reasons; `choice` None follows GPT_BACKEND or the preference.

    `arguments` of each op and `deterministic` are as `Op.choose` takes them.

    Raises:
        ValueError: an unknown op or backend.
        RuntimeError: a chosen backend cannot run here, or no op has it in a usable form.
    """
    load_ops()
    wanted = {} if choice is None else parse_choice(choice)
    with use_backend(choice or {}):
        choices = [
            made.choose(device, None, arguments.get(name), deterministic=deterministic) for name, made in OPS.items()
        ]
    everywhere = wanted.get(EVERY_OP)
    return [
        Choice(c.op, c.backend, f"no {everywhere} backend; {c.reason}")
        if everywhere is not None and c.op not in wanted and everywhere not in OPS[c.op].backends
        else c
        for c in choices
    ]
