"""`dialogues`: questions about little scenes of a grammar, each with the one right answer, made here."""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from gpt_from_scratch.support.command_line.settings import Many
from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.tokenizer.chat.template import ROLE_TOKENS, Message
from gpt_from_scratch.training.data.source import Conversations, DataSettings, LiveSource
from gpt_from_scratch.training.data.stories.grammar import Alternatives, Grammar
from gpt_from_scratch.training.data.stories.lexicon import TABLES

RULES: dict[str, Alternatives] = {
    "dialogue": [(2, "{owners}"), (1, "{tricks}"), (1, "{greeting}")],
    "greeting": [
        "Hello! My name is {hero=children}.\nHello, {hero}!{about_use}",
        "Hello!\nHello! What is your name?\nMy name is {hero=children}.\nHello, {hero}!",
    ],
    # To repeat a scene is what teaches to find a thing in it.
    "owners": [
        "{scene} {question}",
        "{scene} Say that again.\n{same}\n{question}",
    ],
    "scene": [
        "{hero=children} has a {toy=toys}. The {toy} is {color=colors}. {friend=children except hero} has a"
        " {thing=toys except toy}. The {thing} is {other=colors except color}.",
    ],
    "same": ["{hero} has a {toy}. The {toy} is {color}. {friend} has a {thing}. The {thing} is {other}."],
    "question": [
        "What does {hero} have?\n{hero} has a {toy}.{ask_again}",
        "What does {friend} have?\n{friend} has a {thing}.",
        "What color is the {toy}?\nThe {toy} is {color}.{ask_again}",
        "What color is the {thing}?\nThe {thing} is {other}.",
    ],
    "ask_again": [
        "",
        "\nAnd what color is the {thing}?\nThe {thing} is {other}.",
        "\nWhat can {hero} do with the {toy}?\n{hero} can {toy.use} the {toy}.",
    ],
    "tricks": ["What can I do with a {toy=toys}?\nYou can {toy.use} it.{about_part}"],
    "about_use": ["", "\nWhat can I do with a {toy=toys}?\nYou can {toy.use} it."],
    "about_part": ["", "\nMy {toy} is broken.\nIs it the {toy.part}?"],
}
"""Lines in turn of the user and of the assistant, who has no choice in what to say."""
DIALOGUES = Grammar(RULES, TABLES, start="dialogue")


ENOUGH_DIALOGUES = 2000
"""Dialogues with enough pairs to merge for a vocabulary of a few hundred."""


def dialogue(seed: int, index: int) -> list[Message]:
    """Dialogue number `index` of the stream `seed`."""
    number = int.from_bytes(hashlib.blake2b(f"dialogues {seed} {index}".encode()).digest(), "little")
    lines = DIALOGUES.write(number).text.split("\n")
    return [{"role": ("user", "assistant")[place % 2], "content": line} for place, line in enumerate(lines)]


@dataclass(frozen=True)
class DialogueOptions(DataSettings):
    """How many dialogues there are."""

    n_dialogues: Many = 40_000
    """Dialogues to train on (source "dialogues")."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_dialogues < 1:
            raise ValueError(f"data.n_dialogues must be at least 1, it is {self.n_dialogues}")


class LiveDialogues(LiveSource):
    """Dialogues made for the run, whose answers are known."""

    name = "dialogues"
    about = "questions and their right answers, made here"
    options = DialogueOptions
    pattern = "tinystories"
    special_tokens = ROLE_TOKENS

    def read(self, settings: DialogueOptions, *, progress: Progress | None = None) -> Conversations:
        return Conversations(list(_stream(0, settings.n_dialogues)), list(_stream(1, 300)))

    def fewer(self, settings: DialogueOptions) -> DialogueOptions:
        return dataclasses.replace(settings, n_dialogues=min(settings.n_dialogues, ENOUGH_DIALOGUES))


def _stream(seed: int, count: int) -> Iterator[list[Message]]:
    return (dialogue(seed, index) for index in range(count))


LIVE = LiveDialogues()
