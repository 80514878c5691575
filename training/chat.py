"""Chat with a trained model in the terminal."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("chat", "gpt_from_scratch.training.commands.chat:main")


import sys
from collections.abc import Callable, Iterator, Sequence

from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.chat.encoding import encode, stop_tokens
from gpt_from_scratch.tokenizer.chat.template import Message, template_of
from gpt_from_scratch.training.commands.chat import ChatConfig as ChatConfig
from gpt_from_scratch.training.generate import write

NEW = "/new"
LEAST_ROOM = 32
"""Tokens that an answer should have room for, where the context allows."""


class Chat:
    """A conversation with a model: what was said, and how the next answer is drawn."""

    def __init__(self, opened: OpenedModel, sampling: Sampling, max_tokens: int, system: str | None = None) -> None:
        """
        Raises:
            ValueError: the model's tokenizer has no chat template.
        """
        if template_of(opened.tokenizer) is None:
            raise ValueError(
                f"{opened.name} has no chat template: it was not trained on conversations. Use `gpt generate`, or train "
                "it with --data.source conversations"
            )
        self.opened, self.sampling, self.max_tokens = opened, sampling, max_tokens
        self.first: list[Message] = [] if system is None else [{"role": "system", "content": system}]
        self.said: list[Message] = []
        self.answers = 0

    def begin_anew(self) -> None:
        """Start a new conversation."""
        self.said = []

    def ask(self, question: str) -> Iterator[str]:
        """The answer, in pieces as they are generated; question and answer are remembered once all pieces are taken.

        If the context is too short for the conversation, its oldest questions and answers are dropped.

        Raises:
            ValueError: the question alone does not fit, or holds the text of a special token.
        """
        said = [*self.said, {"role": "user", "content": question}]
        prompt = self._tokens(said)
        while len(said) > 1 and len(prompt) + LEAST_ROOM > self.opened.context:
            said = said[2:]
            prompt = self._tokens(said)
        if len(prompt) >= self.opened.context:
            raise ValueError(
                f"the question has {len(prompt)} tokens, the model's context {self.opened.context}: shorten it"
            )
        length = min(self.max_tokens, self.opened.context - len(prompt))
        sampling, self.answers = self.sampling.for_row(self.answers), self.answers + 1
        pieces = []
        for piece in write(self.opened.model, self.opened.tokenizer, prompt, length, sampling):
            pieces.append(piece)
            yield piece
        self.said = [*said, {"role": "assistant", "content": "".join(pieces)}]

    def _tokens(self, said: Sequence[Message]) -> list[int]:
        tokenizer = self.opened.tokenizer
        return [tokenizer.eot_token, *encode(tokenizer, [*self.first, *said], asks=True).tokens]


def run(config: ChatConfig, warn: Callable[[str], None]) -> None:
    """Open the model, and answer each line until there are no more.

    Raises:
        FileNotFoundError, ValueError: no model there, or one that has not learned conversations.
    """
    opened = open_model(config.source, device=config.device, ema=config.ema, warn=warn)
    stops = stop_tokens(opened.tokenizer) if template_of(opened.tokenizer) is not None else ()
    sampling = Sampling(config.temperature, config.top_k, config.top_p, config.seed, stops)
    chat = Chat(opened, sampling, config.max_tokens, config.system)
    asks = sys.stdin.isatty()
    if asks:
        print(visible(f"{opened.name}: say something ({NEW} begins anew, Ctrl-D ends)"))
    while (question := _line(asks)) is not None:
        if question.strip() == NEW:
            chat.begin_anew()
        elif question.strip():
            try:
                for piece in chat.ask(question.strip()):
                    print(visible(piece), end="", flush=True)
            except ValueError as error:  # the next question may be better
                warn(str(error))
            print(flush=True)


def _line(asks: bool) -> str | None:
    """The next line that was typed; None: there are no more."""
    try:
        return input("> " if asks else "")
    except EOFError:
        if asks:
            print()
        return None
