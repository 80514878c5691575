"""Chat templates: Jinja texts that format a conversation, rendered as transformers renders them."""

import datetime
import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer

if TYPE_CHECKING:
    import jinja2

Message = dict[str, str]
"""{"role": "system", "user" or "assistant", "content": text}."""

SYSTEM, USER, ASSISTANT, END = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
ROLE_TOKENS = (END_OF_TEXT, SYSTEM, USER, ASSISTANT, END)
"""The special tokens of a tokenizer that is learned from conversations."""
OF_ROLE_TOKENS = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
OF_PLAIN_TEXT = (
    "{% for message in messages %}{{ message['role'] | capitalize + ':' }}"
    "{% if message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}"
    "{% else %}{{ ' ' + message['content'] + '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""The template for a tokenizer without tokens for roles: names, and the end-of-text token behind each answer."""


class TemplateError(ValueError):
    """A template that cannot be read, or that refuses a conversation."""


def template_of(tokenizer: Tokenizer) -> str | None:
    """The chat template of a tokenizer: its own, or the one for its role tokens; None if it was not made for conversations."""
    own: str | None = getattr(tokenizer, "chat_template", None)
    return OF_ROLE_TOKENS if own is None and special_tokens(tokenizer).keys() >= set(ROLE_TOKENS) else own


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """The special tokens of a tokenizer of any kind, by their texts."""
    if (inner := getattr(tokenizer, "inner", None)) is not None:
        added = inner.get_added_tokens_decoder().items()
        return {token.content: index for index, token in added if token.special}
    try:
        end = {END_OF_TEXT: tokenizer.eot_token}
    except NoEndOfTextError:
        end = {}
    return {**end, **getattr(tokenizer, "special_tokens", {})}


def render(template: str, messages: Sequence[Message], end_of_text: str, *, asks: bool) -> str:
    """A conversation as text.

    Args:
        end_of_text: the token that ends a text, which templates call eos_token and bos_token.
        asks: end with the beginning of the next answer, as a prompt does.

    Raises:
        TemplateError: the template is damaged, or refuses the conversation.
        RuntimeError: Jinja is not installed.
    """
    compiled, errors = _compiled(template)
    try:
        return compiled.render(
            messages=[dict(message) for message in messages],
            add_generation_prompt=asks,
            eos_token=end_of_text,
            bos_token=end_of_text,
            tools=None,
            documents=None,
        )
    except errors as error:
        raise TemplateError(f"the chat template refuses this conversation: {error}") from error


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> "tuple[jinja2.Template, tuple[type[Exception], ...]]":
    try:
        import jinja2
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise RuntimeError(f"chat templates need jinja2: {how_to_install('chat')}") from error

    class Generation(Extension):
        """{% generation %} ... {% endgeneration %}, which marks what the assistant writes, is what is inside."""

        tags = {"generation"}  # noqa: RUF012 (as Jinja declares it)

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            inside = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.Scope(inside, lineno=line)

    def refuse(message: str) -> NoReturn:
        raise jinja2.TemplateError(message)

    def as_json(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    # A template is a program from elsewhere: whatever its statements raise, it is the template that refuses.
    errors = (
        *(jinja2.TemplateError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError),
        *(RecursionError, MemoryError),
    )
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    try:
        return environment.from_string(template), errors
    except errors as error:
        raise TemplateError(f"the chat template is damaged: {error}") from error
