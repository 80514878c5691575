"""Normalization of answers: removes thinking, code fences, HTML and LaTeX around the text.

Every rule looks at a bounded piece of text at a time, so that any answer is read in linear time.
"""

import re

import regex

BOX = "⟦", "⟧"
"""What stands around a final answer that LaTeX's \\boxed or a tag <answer> marked."""

_THOUGHT = re.compile(
    r"</?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad)>|\[/?THINK\]|◁/?think▷", re.I
)
_CHANNEL = re.compile(r"<\|channel\|>\s*final\s*<\|message\|>")
_TURN_ENDS = re.compile(r"<\|(?:eot_id|eom_id|im_end|endoftext|end_of_text|return|end)\|>|</s>|<eos>|<end_of_turn>")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_CIRCLED = {0x24B6 + i: f"({letter})" for i, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
_CIRCLED |= {0x249C + i: f"({letter})" for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
_CIRCLED |= {0x24D0 + i: f"({letter})" for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
_SPACES = dict.fromkeys([0x00A0, 0x2002, 0x2003, 0x2007, 0x2009, 0x200A, 0x202F, 0x205F, 0x3000], " ")
_NOTHING = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x200E, 0x200F, 0xFE0F], "")
_PLAIN = {**_FULL_WIDTH, **_CIRCLED, **_SPACES, **_NOTHING, ord("’"): "'", ord("‘"): "'", ord("“"): '"', ord("”"): '"'}

_FONT = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt)|operatorname|bf|rm|mbox)\s?\{([^{}]{0,200})\}")
_BOXED = regex.compile(r"\\(?:boxed|fbox)\s?\{((?:[^{}]|\{(?:[^{}]|\{[^{}]{0,100}+\}){0,100}+\}){0,200}+)\}")
_TAGGED = re.compile(r"<(?:final_)?answer>([^<]{0,200})</(?:final_)?answer>", re.I)
_TAG = re.compile(r"</?(?:b|i|u|em|strong|code|p|br|span|sup|sub|mark)\s?/?>", re.I)
_STRUCK = re.compile(r"~~[^~\n]{1,300}~~|<(s|del|strike)>[^<\n]{0,300}</\1>", re.I)
_FENCE = re.compile(r"```[\w+-]{0,20}")
_MATH = re.compile(r"\\[()\[\]]|\$\$?|\\(?:left|right|displaystyle|quad|qquad)(?![a-z])|\\[,;:!]|~(?=\\)")


def said(text: str) -> str:
    """The text after the thinking; empty if the thinking never ended."""
    ends = [*_THOUGHT.finditer(text)]
    if ends:
        if "/" not in ends[-1][0]:
            return ""
        text = text[ends[-1].end() :]
    channels = [*_CHANNEL.finditer(text)]
    text = text[channels[-1].end() :] if channels else text
    ended = _TURN_ENDS.search(text, len(text) - len(text.lstrip()))
    return text[: ended.start()] if ended else text


def undressed(text: str) -> str:
    """The text in plain characters, with `BOX` around what is marked as the final answer; emphasis is left in."""
    text = said(_STRUCK.sub(" ", text)).translate(_PLAIN)
    for _ in range(3):  # one inside another
        text = _FONT.sub(r"\1", text)
    for pattern in (_BOXED, _TAGGED):
        text = pattern.sub(lambda match: f" {BOX[0]}{match[1].strip()}{BOX[1]} ", text)
    return _MATH.sub(" ", _TAG.sub(" ", _FENCE.sub("\n", text)))
