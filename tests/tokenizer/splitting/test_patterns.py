"""Splitting: the pinned expressions, the automata and the kernel agree with each other and with tiktoken's engine."""

import inspect
import re

import numpy as np
import pytest
import regex
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tiktoken_ext import openai_public
from tokenizers import Regex, pre_tokenizers

from gpt_from_scratch.tokenizer.bpe.byte_buffer import ByteBuffer
from gpt_from_scratch.tokenizer.numba_kernels import loading as acceleration
from gpt_from_scratch.tokenizer.special_tokens import SpecialTokens
from gpt_from_scratch.tokenizer.splitting.automaton import automaton
from gpt_from_scratch.tokenizer.splitting.chunks import Cutter
from gpt_from_scratch.tokenizer.splitting.pattern_parser import UnsupportedPatternError, parse_pattern
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, is_pinned, pattern_text, splitter
from gpt_from_scratch.tokenizer.splitting.unicode_table import KINDS, PROPERTIES, UNICODE_VERSION, kinds
from tests.tokenizer.texts import SCRIPTS, fuzz, texts

NAMES = pytest.mark.parametrize("pattern", PATTERNS)
SKIPPING = [r"\p{L}+", r" ?\p{L}+|\p{N}{1,2}?(?!x)", r"ab|b[a-z]", r"\w+|[.,!?;:\"]| +", r"(?<=e)\w+", r"[^\s]+"]
ALL = pytest.mark.parametrize("pattern", [*PATTERNS, *SKIPPING])


def split_by_kernel(pattern: str, text: str, raw: bool = False) -> list[bytes]:
    """The words as the compiled splitter finds them."""
    kernels = acceleration.kernels_for("numba", 0)
    assert kernels is not None
    data, edges = ByteBuffer().fill([text], raw)
    stop = int(edges[1])
    boundaries, state = np.empty(kernels.splitting.BOUNDARIES, dtype=np.int32), np.zeros(6, dtype=np.int64)
    ends: list[int] = []
    while state[5] == 0:
        found = kernels.splitting.split_block(data, stop, automaton(pattern)[:5], state, boundaries)
        ends += boundaries[:found].tolist()
    return [bytes(data[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


@ALL
@fuzz
@given(text=texts)
def test_the_automaton_finds_the_words_of_the_expression(pattern: str, text: str) -> None:
    if "(?<" not in pattern:  # which has no automaton
        assert split_by_kernel(pattern, text) == [word.encode() for word in splitter(pattern)(text)]


@ALL
def test_the_words_of_a_long_text(pattern: str) -> None:
    """Longer than a block of the kernel, with words across its edges, and words longer than a block."""
    if "(?<" in pattern:  # which has no automaton
        return
    text = ("".join(SCRIPTS) * 200) + " " * 70_000 + "x" + "y" * 70_000 + "\n " * 40_000
    assert split_by_kernel(pattern, text) == [word.encode() for word in splitter(pattern)(text)]


@ALL
@fuzz
@given(text=texts)
def test_nothing_is_lost(pattern: str, text: str) -> None:
    assert "".join(splitter(pattern)(text)) == text


@NAMES
@fuzz
@given(text=texts)
def test_tiktoken_splits_alike(pattern: str, text: str) -> None:
    """tiktoken takes a whole word as one token if there is one: with exactly our words as tokens, it must find them all."""
    words = [word.encode() for word in splitter(pattern)(text)]
    ranks = {bytes([byte]): byte for byte in range(256)}
    for word in words:
        ranks.setdefault(word, len(ranks))
    encoding = tiktoken.Encoding("t", pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})
    assert encoding.encode_ordinary(text) == [ranks[word] for word in words]


def edges_of_the_table() -> str:
    """The first and the last character of each run of one kind, and those beside it."""
    starts = np.flatnonzero(np.diff(kinds()))
    points = {point for start in starts.tolist() for point in (start, start + 1)}
    return "".join(chr(point) for point in sorted(points) if not 0xD800 <= point < 0xE000)


@pytest.mark.parametrize("name", sorted(set(PROPERTIES) - {"Cs"}))
def test_the_unicode_table_is_tiktokens_and_hugging_faces(name: str) -> None:
    """Each character alone: their engines with the property as the pattern take exactly the table's members.

    Where kinds change; and of all characters those of white space, which no other property is as often asked for.
    """
    expression = rf"\{name}" if name in "sdw" else rf"\p{{{name}}}"
    ranks = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("t", pat_str=expression, mergeable_ranks=ranks, special_tokens={})
    asked = edges_of_the_table() if name != "s" else "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    members = "".join(one for one in asked if KINDS[kinds()[ord(one)]] in PROPERTIES[name])
    assert encoding.decode(encoding.encode_ordinary(asked)) == members
    if name not in "sw":  # of \\w Oniguruma has another idea: see `engines`
        pieces = pre_tokenizers.Split(Regex(expression), "isolated").pre_tokenize_str(asked)
        assert "".join(piece for piece, _ in pieces if piece in members) == members
        assert all(set(piece) <= set(members) or not set(piece) & set(members) for piece, _ in pieces)
    assert UNICODE_VERSION == "16.0"
    assert len(kinds()) == 0x110000


@ALL
@fuzz
@given(data=st.binary(max_size=30))
def test_bytes_that_are_not_utf8(pattern: str, data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    words = [word.encode("utf-8", "surrogateescape") for word in splitter(pattern)(text)]
    if "(?<" not in pattern:  # which has no automaton
        assert split_by_kernel(pattern, text, raw=True) == words
    assert b"".join(words) == data


@ALL
@fuzz
@given(text=texts, place=st.integers(0, 40), more=texts)
def test_a_cut_gives_the_words_of_the_whole(pattern: str, text: str, place: int, more: str) -> None:
    """Wherever the cutter cuts, whatever comes behind."""
    special = SpecialTokens({"<|end|>": 1, "<|endoftext|>": 2, "<|end|><": 3})

    def words(text: str) -> list[str | int | None]:
        return [
            one for part, token in special.cut(text, special.all) for one in (*splitter(pattern)(part), token) if one
        ]

    cut = Cutter(pattern, special.all).find(text, 0, place)
    if cut is not None:
        assert place <= cut <= len(text)
        whole = text + more
        assert words(whole[:cut]) + words(whole[cut:]) == words(whole)


def test_most_texts_can_be_cut() -> None:
    text = "".join(SCRIPTS) * 100
    for pattern in ("gpt2", "gpt4", "o200k", "tinystories"):
        pieces = list(Cutter(pattern, size=200).pieces([text[:5000], text[5000:]]))
        assert "".join(pieces) == text
        assert max(map(len, pieces)) < 400
    chinese = "你好，世界。\n" * 100
    assert len(list(Cutter("gpt2", size=50).pieces([chinese]))) > 10


def test_a_text_without_cuts_stays_whole() -> None:
    assert list(Cutter("gpt2", size=10).pieces(["a" * 30] * 40)) == ["a" * 1200]


@pytest.mark.parametrize(
    ("expression", "example"),
    [(r"\X", "ae\u0301c"), (r"(?<=ab)c|.", "abc"), (r"\b\w+\b|.", "ab c"), (r"(a)\1|.", "aab")],
)
def test_other_expressions_are_left_to_regex(expression: str, example: str) -> None:
    assert not is_pinned(expression)
    with pytest.raises(UnsupportedPatternError):
        parse_pattern(expression)
    assert splitter(expression)(example) == [match.group() for match in regex.finditer(expression, example)]


@pytest.mark.parametrize("expression", [r"\b[a-z]+\b", r"[a-z]+", r"(?>[a-z]+)", r"[a-z]*", r"(?=[a-z])[a-z]+"])
def test_what_an_expression_skips_becomes_a_word(expression: str) -> None:
    """By `regex`, by the automaton, by `re`, with empty matches, and on an empty text."""
    assert splitter(expression)("..ab, cd!") == ["..", "ab", ", ", "cd", "!"]
    assert splitter(expression)("é ab") == ["é ", "ab"]
    assert splitter(expression)("") == []


@pytest.mark.parametrize("expression", [r"a?|[\s\S]", r"\s*|\S", r"(?<=a)|\w|\W", r"[.]*?|[\s\S]"])
def test_an_empty_match_is_no_word(expression: str) -> None:
    for text in ("banana ..", "é a", ""):
        words = splitter(expression)(text)
        assert "".join(words) == text and all(words)


@pytest.mark.parametrize("expression", [r"a|", r"[ab]{4}", r"(?:a|ab)(?:c|bcd)", r"(?<=a)b", r"(?>a|ab)c"])
def test_the_automaton_refuses_what_it_cannot_do(expression: str) -> None:
    with pytest.raises(UnsupportedPatternError):
        automaton(expression)


def test_a_misspelt_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown pattern 'gtp2': known are gpt2.*did you mean 'gpt2'"):
        pattern_text("gtp2")
    with pytest.raises(ValueError, match="not a regular expression"):
        splitter("(unclosed")


def test_the_named_patterns_are_openais() -> None:
    assert PATTERNS["gpt2"] == openai_public.r50k_pat_str
    assert PATTERNS["gpt4"] in inspect.getsource(openai_public.cl100k_base)
    source = inspect.getsource(openai_public.o200k_base)
    alternatives = re.findall(r'r"""(.*?)""",', source)
    assert PATTERNS["o200k"] == "|".join(alternatives)
