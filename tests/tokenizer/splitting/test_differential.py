"""Patterns and texts from a grammar (`pattern_grammar`), split here and by Hugging Face's and tiktoken's engines.

Either both split alike, or the pattern is refused by name; nothing is ever lost.
"""

import itertools
from collections import Counter

import pytest
import tiktoken
import tokenizers
from tiktoken_ext import openai_public
from tokenizers import Regex, pre_tokenizers

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.hugging_face import read_hugging_face, write_hugging_face
from gpt_from_scratch.tokenizer.formats.tiktoken_ranks import from_tiktoken
from gpt_from_scratch.tokenizer.splitting.automaton import automaton
from gpt_from_scratch.tokenizer.splitting.engines import ONIGURUMA, TIKTOKEN, RegexEngine, for_engine, from_engine
from gpt_from_scratch.tokenizer.splitting.pattern_parser import UnsupportedPatternError
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, is_a_name, splitter
from tests.tokenizer.splitting.pattern_grammar import STRANGE, PatternGrammar
from tests.tokenizer.splitting.test_patterns import split_by_kernel
from tests.tokenizer.texts import SCRIPTS

PATTERNS_MADE, TEXTS_EACH, PAIRS = 350, 8, 5000


def split_by(engine: RegexEngine, expression: str, text: str, words: list[str]) -> list[bytes] | None:
    """The words as the engine finds them; None where it gives up, since its search would be exponential."""
    try:
        if engine is ONIGURUMA:
            pieces = pre_tokenizers.Split(Regex(expression), "isolated").pre_tokenize_str(text)
            return [text[start:end].encode() for _, (start, end) in pieces]
        # With exactly our words as tokens, tiktoken takes them all, or it splits otherwise.
        ranks = {bytes([byte]): byte for byte in range(256)}
        for word in words:
            ranks.setdefault(word.encode(), len(ranks))
        encoding = tiktoken.Encoding("t", pat_str=expression, mergeable_ranks=ranks, special_tokens={})
        return [encoding.decode_single_token_bytes(token) for token in encoding.encode_ordinary(text)]
    except BaseException as error:  # a panic in Rust is no Exception
        if "retry-limit" not in str(error) and "BacktrackLimit" not in str(error):
            raise
        return None


@pytest.mark.timeout(600)
def test_generated_patterns_split_alike_or_are_refused() -> None:
    """Read and written, for both engines, in Python and by the kernel; and at least 80 % are accepted."""
    grammar = PatternGrammar(seed=15)
    counts: Counter[str] = Counter()
    for _ in range(PATTERNS_MADE):
        pattern = grammar.pattern()
        texts = [grammar.text() for _ in range(TEXTS_EACH)]
        if is_a_name(pattern):
            continue
        counts["patterns"] += 1
        split = splitter(pattern)
        for text in texts:
            assert "".join(split(text)) == text, (pattern, text)
        try:
            automaton(pattern)
        except UnsupportedPatternError:
            counts["without automaton"] += 1
        else:
            for text in texts:
                assert split_by_kernel(pattern, text) == [word.encode() for word in split(text)], (pattern, text)
        for engine in (ONIGURUMA, TIKTOKEN):
            pairs: set[tuple[str, str]] = set()
            for way, convert in (("read", from_engine), ("written", for_engine)):
                try:
                    converted = convert(pattern, engine)
                except ValueError as error:
                    if "does not match every character" not in str(error):
                        counts[f"{way}, {engine.name}: refused"] += 1
                        assert "need not read alike" in str(error), error
                else:
                    pairs.add((converted, pattern) if way == "read" else (pattern, converted))
            for (here, there), text in itertools.product(pairs, texts):
                words = splitter(here)(text)
                found = split_by(engine, there, text, words)
                if found is not None:
                    counts["pairs compared"] += 1
                    assert found == [word.encode() for word in words], (pattern, here, there, text)
    refused = {name: count for name, count in counts.items() if name.endswith("refused")}
    assert max(refused.values()) <= 0.2 * counts["patterns"], counts
    assert counts["pairs compared"] >= PAIRS, counts


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("engine", [ONIGURUMA, TIKTOKEN], ids=["hugging face", "tiktoken"])
def test_what_engines_read_differently_is_refused_by_name(strange: str, engine: RegexEngine) -> None:
    """Both ways, also deep within a pattern; or, where it can be rewritten, splits alike."""
    for pattern in (f"{strange}|[\\s\\S]", rf" ?\p{{L}}+|(?:x|{strange})y|[\s\S]"):
        for convert in (from_engine, for_engine):
            if engine is TIKTOKEN and strange in (r"(?i:ss)", r"[\W\d]"):
                assert convert(pattern, engine) == pattern  # fancy-regex reads these as is done here
                continue
            with pytest.raises(ValueError, match="need not read alike|is no name"):
                convert(pattern, engine)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_named_pattern_is_accepted(pattern: str) -> None:
    assert from_engine(for_engine(pattern, TIKTOKEN), TIKTOKEN) == PATTERNS[pattern]
    assert from_engine(for_engine(pattern, ONIGURUMA), ONIGURUMA) == PATTERNS[pattern]


_LATER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WELL_KNOWN = {
    "r50k": openai_public.r50k_pat_str,
    "r50k, first": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": PATTERNS["gpt4"],
    "o200k": PATTERNS["o200k"],
    "llama 3": _LATER.replace("NUMBER", r"\p{N}{1,3}"),
    "qwen 2": _LATER.replace("NUMBER", r"\p{N}"),
}


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_well_known_patterns_of_tiktoken(name: str) -> None:
    ranks = {bytes([byte]): byte for byte in range(256)} | {b" t": 256, b"he": 257, b"12": 258, b"  ": 259}
    encoding = tiktoken.Encoding("t", pat_str=WELL_KNOWN[name], mergeable_ranks=ranks, special_tokens={})
    ours = from_tiktoken(encoding)
    for text in SCRIPTS:
        assert ours.encode_ordinary(text) == encoding.encode_ordinary(text)


@pytest.mark.parametrize("backend", ["python", "numba"])
@pytest.mark.parametrize("pattern", [r"\p{L}+", r"\p{L}+| +", r" ?\p{L}+| ?\p{N}+", r"[a-z]{3}", r"\b[a-z]+\b", r"x*"])
def test_what_a_pattern_skips_is_kept(pattern: str, backend: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Learning, encoding in every way, and the file that Hugging Face reads."""
    text = "Hello, world! 42 — x?\n" * 9 + "".join(SCRIPTS)
    ours = BytePairEncodingTokenizer.from_text(text, 290, pattern=pattern, backend=backend, special_tokens=())  # type: ignore[arg-type]
    twin = BytePairEncodingTokenizer.from_text(text, 290, pattern=pattern, backend="python", special_tokens=())
    assert ours.merges == twin.merges
    ids = ours.encode(text)
    assert ours.decode(ids) == text
    assert ids == twin.encode(text) == ours.encode_to_numpy(text).tolist() == ours.encode_batch([text])[0]
    assert list(ours.encode_iterable(text)) == ids
    assert ours.decode_bytes(ours.encode_bytes(b"a\xff.\xfeb")) == b"a\xff.\xfeb"
    if pattern in (r"\b[a-z]+\b", r"x*"):
        with pytest.raises(ValueError, match="need not read alike"):
            write_hugging_face(ours, tmp_path / "tokenizer.json")
        return
    write_hugging_face(ours, tmp_path / "tokenizer.json")
    assert tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text).ids == ids
    assert read_hugging_face(tmp_path / "tokenizer.json").encode(text) == ids
    with pytest.raises(ValueError, match="tiktoken drops what a pattern skips"):
        ours.to_tiktoken()
