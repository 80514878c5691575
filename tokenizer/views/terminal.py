"""Terminal output of tokens: the text in colours, and a list of the tokens with their bytes and characters."""

import os
import unicodedata

from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.views.tokens import Character, ShownTokenizer, Token, text_of, tokens_of

_RESET = "\x1b[0m"
# Black on six light backgrounds of the 256-colour table, in a fixed order: neighbours always differ.
_TOKENS = tuple(f"\x1b[38;5;16;48;5;{color}m" for color in (153, 222, 157, 218, 189, 187))
_DIM = "\x1b[2m"
_ROLES = {"ascii": "\x1b[32m", "lead 2": "\x1b[33m", "lead 3": "\x1b[35m", "lead 4": "\x1b[31m"} | {
    "continuation": "\x1b[36m",
    "invalid": "\x1b[7m",
}
_CONTEXT = 12


def utf8_role(byte: int) -> str:
    """Role of a byte in UTF-8: ascii, a continuation, or the lead of a character of 2, 3 or 4 bytes."""
    if byte < 0x80:
        return "ascii"
    if byte < 0xC0:
        return "continuation"
    if 0xC2 <= byte < 0xF5:
        return f"lead {2 + (byte >= 0xE0) + (byte >= 0xF0)}"
    return "invalid"


def shown(text: str) -> str:
    """Untrusted text on one line, with control and hidden characters made visible."""
    text = visible(text).replace("\n", "⏎").replace("\t", "⇥")
    return "◌" + text if text and unicodedata.category(text[0])[0] == "M" else text


def get_colored_tokenization(tokenizer: ShownTokenizer, text: str) -> str:
    """The text with each token on a background of its own, for a terminal.

    Line breaks are shown as ⏎ and kept, other hidden characters are written out, and the parts of a character that is
    spread over several tokens appear as ``\\xf0\\x9f``.
    """
    return _colored(tokens_of(tokenizer, text), color=True)


def _colored(tokens: list[Token], color: bool) -> str:
    parts = []
    for number, token in enumerate(tokens):
        body = shown(token.text)
        if color:
            style = _TOKENS[number % len(_TOKENS)]
            parts.append(style + body.replace("⏎", f"⏎{_RESET}\n{style}") + _RESET)
        else:
            parts.append(f"[{body}]")
    return "".join(parts)


def show_token_mapping(tokenizer: ShownTokenizer, input_string: str, *, color: bool | None = None) -> None:
    """Print `token_mapping`; in colours unless the environment sets NO_COLOR."""
    print(token_mapping(tokenizer, input_string, color=not os.environ.get("NO_COLOR") if color is None else color))


def token_mapping(tokenizer: ShownTokenizer, text: str, *, color: bool) -> str:
    """The text in colours; then for each token its id, its bytes, its string and its place in the text, and below it the
    name of each character, also where a character is spread over several tokens.

    The bytes are coloured by their role in UTF-8.
    """
    tokens = tokens_of(tokenizer, text)
    text = "".join(one.character for token in tokens for one in token.characters if one.end == one.size)
    size = len(text.encode("utf-8"))
    rate = f", {size / len(tokens):.2f} bytes per token" if tokens else ""
    lines = [_colored(tokens, color), "", f"{len(text)} characters, {size} bytes, {len(tokens)} tokens{rate}"]
    if color:
        roles = (f"{style}{role}{_RESET}" for role, style in _ROLES.items() if role != "invalid")
        lines.append(f"bytes: {', '.join(roles)}")
    lines.append("")
    width = max((len(str(token.index)) for token in tokens), default=1)
    for number, token in enumerate(tokens):
        style, reset = (_TOKENS[number % len(_TOKENS)], _RESET) if color else ("", "")
        spelled = " ".join(
            f"{_ROLES[utf8_role(byte)]}{byte:02x}{reset}" if color else f"{byte:02x}" for byte in token.data
        )
        gap = " " * max(1, 26 - 3 * len(token.data))
        place = _in_context(token, text, style, reset)
        lines.append(f"{token.index:>{width}}  {spelled}{gap}{style}{shown(token.text)}{reset}  {place}")
        lines += [f"{'':{width}}    {_described(character)}" for character in token.characters]
    return "\n".join(lines)


def _in_context(token: Token, text: str, style: str, reset: str) -> str:
    # A window of the text, not all of it: the whole listing stays linear in the text's length.
    if not token.characters:
        return ""
    first, last = token.characters[0].place, token.characters[-1].place
    before, after = text[max(0, first - _CONTEXT) : first], text[last + 1 : last + 1 + _CONTEXT]
    opening, closing = ("…" if first > _CONTEXT else ""), ("…" if last + 1 + _CONTEXT < len(text) else "")
    marks = (style, reset) if style else ("[", "]")
    return f"{opening}{shown(before)}{marks[0]}{shown(text[first : last + 1])}{marks[1]}{shown(after)}{closing}"


def _described(character: Character) -> str:
    part = ""
    if not character.whole:
        which = (
            f"byte {character.begin + 1}"
            if character.end == character.begin + 1
            else (f"bytes {character.begin + 1} to {character.end}")
        )
        part = f" ({which} of {character.size}: {text_of(character)})"
    return f"{shown(character.character)}  U+{ord(character.character):04X} {character.name}{part}"
