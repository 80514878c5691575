"""Prompts: the messages that ask a sample."""

import dataclasses
import random
import string
from collections.abc import Sequence

from gpt_from_scratch.evals.protocol.messages import Message, Prompt
from gpt_from_scratch.evals.protocol.samples import AnySample, MCQuestion


@dataclasses.dataclass(frozen=True)
class PromptStyle:
    """The prompt format of a run.

    system: a system message before everything else; empty sends none
    instruction: appended to each question, after a blank line
    few_shot: solved samples shown first, as turns of the conversation; a sample is never shown its own answer
    """

    system: str = ""
    instruction: str = ""
    few_shot: Sequence[AnySample] = ()


@dataclasses.dataclass(frozen=True)
class Asked:
    """A sample as it was asked: `prompt`, the answers that count as right, and for a choice what each letter stands for."""

    sample: AnySample
    prompt: Prompt
    ideal_answers: list[str]
    choices: dict[str, str]


def ask(sample: AnySample, style: PromptStyle, *, seed: int = 0, epoch: int = 0) -> Asked:
    """The messages that ask `sample`. The order of choices follows from seed, sample and epoch, and from nothing else."""
    system = [Message("system", style.system)] if style.system else []
    shots: Prompt = []
    for shot in style.few_shot:
        if shot.id != sample.id:
            messages, answers, _ = _turn(shot, style.instruction, random.Random(f"{seed}/{shot.id}"))
            shots += [*_without_system(messages), Message("assistant", answers[0])]
    messages, answers, choices = _turn(sample, style.instruction, random.Random(f"{seed}/{sample.id}/{epoch}"))
    own_system = [message for message in messages if message.role == "system"]
    prompt = [*system, *own_system, *shots, *_without_system(messages)]
    return Asked(sample, prompt, answers, choices)


def _without_system(messages: Prompt) -> Prompt:
    return [message for message in messages if message.role != "system"]


def _turn(sample: AnySample, instruction: str, rng: random.Random) -> tuple[Prompt, list[str], dict[str, str]]:
    """A sample's own messages, its right answers, and its choices by letter."""
    messages = [Message("user", sample.body)] if isinstance(sample.body, str) else list(sample.body)
    *before, last = messages
    if isinstance(sample, MCQuestion):
        texts = [*sample.choices_right, *sample.choices_wrong]
        order = sample.choices_order or rng.sample(range(len(texts)), len(texts))
        choices = {letter: texts[i] for letter, i in zip(string.ascii_uppercase, order, strict=False)}
        right = [f"({letter})" for letter, i in zip(choices, order, strict=True) if i < len(sample.choices_right)]
        listing = "\n".join(f"({letter}) {text}" for letter, text in choices.items())
        content = f"{last.content}\n\n{listing}"
    else:
        choices, right, content = {}, sample.ideal_answers, last.content
    if instruction:
        content = f"{content}\n\n{instruction}"
    return [*before, Message(last.role, content)], right, choices
