"""Pictures of what the terminal shows: token mappings, and a conversation in which a model calls a function."""

import functools
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request as Post
from urllib.request import urlopen

import rich._export_format
from rich.console import Console
from rich.text import Text

from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol.messages import Message, Request
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.views.terminal import token_mapping
from gpt_from_scratch.tokenizer.views.tokens import get_detailed_and_complete_tokenization_info_for_text
from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, stories, story

# Rich's template fetches its font from a server; a picture in a README must not.
TEMPLATE = re.sub(r"@font-face \{\{.*?\}\}", "", rich._export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL)
SCRIPTED_SERVER = Path(__file__).parents[2] / "tests" / "evals" / "scripted_server.py"
STRAWBERRY = "你好 strawberry"


def terminal_svg(lines: str, title: str) -> str:
    """A terminal's text with its colour codes, as a drawing."""
    text = Text.from_ansi(lines)
    width = max(line.cell_len for line in text.split("\n"))
    console = Console(record=True, width=max(width, 60), file=io.StringIO(), color_system="truecolor")
    console.print(text, soft_wrap=True)
    return console.export_svg(title=title, code_format=TEMPLATE, unique_id="terminal")


@functools.cache
def story_tokenizer(pattern: str) -> BytePairEncodingTokenizer:
    """Learned from a megabyte of stories."""
    text = "<|endoftext|>".join(made.text for made in stories(TRAIN_SEED, range(2_000)))
    return BytePairEncodingTokenizer.from_text(text, 1_700, pattern=pattern)


def draw_token_mapping(path: Path) -> None:
    """A text in which characters are spread over several tokens."""
    mapping = token_mapping(story_tokenizer("gpt2"), "Showing 你好 😊 I am a string :)", color=True)
    write_text(path, terminal_svg(mapping, "GPT-2's split pattern, 1,700 ids learned from stories"))


def draw_tinystories_mapping(path: Path) -> None:
    """The first words of a text that the tokenizer was made for."""
    words = " ".join(story(VALIDATION_SEED, 0).text.split()[:7])
    mapping = token_mapping(story_tokenizer("tinystories"), words, color=True)
    write_text(path, terminal_svg(mapping, "TinyStories' split pattern, 1,700 ids learned from stories"))


def draw_function_calling(path: Path) -> None:
    """How many r's are in "你好 strawberry": the model looks at its tokens with our function.

    With OPENAI_API_KEY set, gpt-4o answers; without, a server on this machine plays the model's two lines, and the
    picture's title says so.
    """
    tokenize = functools.partial(get_detailed_and_complete_tokenization_info_for_text, story_tokenizer("gpt2"))
    question = f"How many r's are in: {STRAWBERRY}?"
    request = Request(prompt=[Message("user", question)], context=None)
    if os.environ.get("OPENAI_API_KEY"):
        title, transcript = "gpt-4o", _ask(OpenAIProvider(), tokenize, request)
    else:
        with _scripted_model(tokenize.func.__name__) as provider:
            title, transcript = "the model's lines are scripted", _ask(provider, tokenize, request)
    write_text(path, terminal_svg(_told([{"role": "user", "content": question}, *transcript]), title))


def _ask(provider: OpenAIProvider, function: Any, request: Request) -> list[dict[str, Any]]:
    caller = OpenAIFunctionCallingProvider(functions=[function], provider=provider)
    call = caller.execute("function-calling-gpt-4o", request).call
    assert call is not None
    return list(call.transcript)


@contextmanager
def _scripted_model(function: str) -> Iterator[OpenAIProvider]:
    with subprocess.Popen([sys.executable, str(SCRIPTED_SERVER)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            asked = {"name": function, "arguments": json.dumps({"text": STRAWBERRY}, ensure_ascii=False)}
            calls = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": asked}]}
            script = {"replies": [{"message": calls}, {"text": "The tokens spell three r's: 3."}]}
            urlopen(Post(f"{url}/_script", json.dumps(script).encode(), method="POST")).close()
            yield OpenAIProvider(base_url=f"{url}/v1", api_key="none is needed")
        finally:
            server.kill()


def _told(messages: list[dict[str, Any]]) -> str:
    """A conversation for people: who speaks in colour, long results cut."""
    lines = []
    for message in messages:
        colour = {"user": 33, "assistant": 32, "tool": 36}[message["role"]]
        for call in message.get("tool_calls") or ():
            lines.append(_spoken(colour, "assistant", f"{call['function']['name']}({call['function']['arguments']})"))
        if content := message.get("content"):
            lines.append(_spoken(colour, message["role"], content))
    return "\n\n".join(lines)


def _spoken(colour: int, who: str, words: str, longest: int = 960) -> str:
    words = words if len(words) <= longest else f"{words[:longest]} … ({len(words):,} characters)"
    rows = [words[start : start + 96] for start in range(0, len(words), 96)]
    return "\n".join(f"\x1b[1;{colour}m{who if row == 0 else '':<10}\x1b[0m {line}" for row, line in enumerate(rows))
