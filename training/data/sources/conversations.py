"""`conversations`: JSON lines, each with the messages of a conversation."""

from collections.abc import Iterator
from pathlib import Path

from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.support.storage.text_files import open_text_bytes
from gpt_from_scratch.tokenizer.chat.encoding import check_messages
from gpt_from_scratch.tokenizer.chat.template import ROLE_TOKENS, Message
from gpt_from_scratch.training.data.reading.rows import json_row
from gpt_from_scratch.training.data.source import Conversations, DataSettings, LeftOut, LiveSource


class LiveConversations(LiveSource):
    """A file of conversations; the last of them are kept for validation."""

    name = "conversations"
    about = "*.jsonl, each line an object with messages: [{role, content}, ...]; the assistant's are learned"
    path = "needed"
    special_tokens = ROLE_TOKENS

    def read(self, settings: DataSettings, *, progress: Progress | None = None) -> Conversations:
        assert settings.path is not None
        found = list(read_conversations(settings.path))
        if len(found) < 2:
            raise ValueError(
                f"{settings.path} has {len(found)} conversations: at least 2 are needed, one for validation"
            )
        kept = max(1, min(len(found) - 1, round((1 - settings.validation_fraction) * len(found))))
        return Conversations(found[:kept], found[kept:])


def read_conversations(path: Path) -> Iterator[list[Message]]:
    """The conversations of a file that have an answer.

    Raises:
        FileNotFoundError: there is none; ValueError: a line is none, by its number.
    """
    with open_text_bytes(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            row = json_row(line, where)
            if isinstance(row, LeftOut):
                raise ValueError(f"{where}: {row.why}")
            try:
                messages = check_messages(row.get("messages"))
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
            if any(message["role"] == "assistant" for message in messages):
                yield messages


LIVE = LiveConversations()
