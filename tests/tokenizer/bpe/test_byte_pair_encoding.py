"""Byte pair encoding: learning and encoding equal their plain definitions, however they run."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.bpe.byte_order import byte_symbols
from gpt_from_scratch.tokenizer.bpe.reference import TIE_BREAKS, TieBreak
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.protocol import well_formed
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, splitter
from tests.tokenizer.texts import SCRIPTS, few, fuzz, overlapping, texts

BACKENDS = pytest.mark.parametrize("backend", ["python", "numba"])
Pair = tuple[int, int]


def merge(symbols: list[int], pair: Pair, new: int) -> list[int]:
    merged: list[int] = []
    place = 0
    while place < len(symbols):
        found = tuple(symbols[place : place + 2]) == pair
        merged.append(new if found else symbols[place])
        place += 2 if found else 1
    return merged


def naive_merges(words: list[bytes], num_merges: int, byte_order: str, tie_break: TieBreak) -> list[Pair]:
    """The definition: count all pairs again for every merge."""
    symbols = byte_symbols(byte_order)
    spelling = {symbols[byte]: bytes([byte]) for byte in range(256)}
    distinct = Counter(words)
    chains = {word: [symbols[byte] for byte in word] for word in distinct}
    merges: list[Pair] = []
    for new in range(256, 256 + num_merges):
        counts: Counter[Pair] = Counter()
        for word, chain in chains.items():
            for pair in itertools.pairwise(chain):
                counts[pair] += distinct[word]
        if not counts:
            break
        highest = max(counts.values())
        tied = [pair for pair in counts if counts[pair] == highest]  # in order of first appearance
        if tie_break == "lowest-ids":
            chosen = min(tied)
        elif tie_break == "lexicographic":
            chosen = max(tied, key=lambda pair: (spelling[pair[0]], spelling[pair[1]]))
        else:
            chosen = tied[0]
        merges.append(chosen)
        spelling[new] = spelling[chosen[0]] + spelling[chosen[1]]
        chains = {word: merge(chain, chosen, new) for word, chain in chains.items()}
    return merges


def naive_encode(word: bytes, tokenizer: BytePairEncodingTokenizer) -> list[int]:
    """The definition: every merge in turn, over the whole word."""
    symbols = [byte_symbols(tokenizer.byte_order)[byte] for byte in word]
    for rank, pair in enumerate(tokenizer.merges):
        symbols = merge(symbols, pair, 256 + rank)
    return symbols


@BACKENDS
@pytest.mark.parametrize("tie_break", TIE_BREAKS)
@few
@given(text=st.one_of(overlapping, texts), byte_order=st.sampled_from(["raw", "gpt2"]))
@pytest.mark.filterwarnings("ignore:the text has only")
def test_merges_are_those_of_the_definition(backend: str, tie_break: TieBreak, text: str, byte_order: str) -> None:
    if not text:
        return
    tokenizer = BytePairEncodingTokenizer.from_text(
        text, 280, special_tokens=(), tie_break=tie_break, byte_order=byte_order, backend=backend
    )
    words = [word.encode() for word in splitter("gpt2")(text)]
    assert tokenizer.merges == naive_merges(words, 24, byte_order, tie_break)


@BACKENDS
@few
@given(trained_on=st.one_of(overlapping, texts), text=st.one_of(overlapping, texts))
@pytest.mark.filterwarnings("ignore:the text has only")
def test_ids_are_those_of_the_definition(backend: str, trained_on: str, text: str) -> None:
    if not trained_on:
        return
    tokenizer = BytePairEncodingTokenizer.from_text(trained_on, 300, backend=backend)
    expected = [one for word in splitter("gpt2")(text) for one in naive_encode(word.encode(), tokenizer)]
    assert tokenizer.encode_ordinary(text) == expected
    assert tokenizer.encode_to_numpy(text).tolist() == expected
    assert tokenizer.decode(expected) == text


@pytest.mark.parametrize("pattern", [*PATTERNS, r"\w+|\W"])
@pytest.mark.filterwarnings("ignore:the text has only")
def test_both_backends_over_pieces_and_threads(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pieces over three threads learn the same, in the same order of first appearance, and encode the same."""
    monkeypatch.setattr("gpt_from_scratch.tokenizer.splitting.chunks.PIECE", 300)
    text = "<|endoftext|>".join("".join(SCRIPTS[index:] + SCRIPTS[:index]) for index in range(9)) * 3
    trained = [
        BytePairEncodingTokenizer.from_text(
            text, 900, pattern=pattern, tie_break="first", backend=backend, num_threads=num_threads
        )
        for backend, num_threads in (("python", 1), ("numba", 1), ("numba", 3))
    ]
    assert len({tokenizer.fingerprint for tokenizer in trained}) == 1
    ids = [tokenizer.encode(text, allowed_special="all") for tokenizer in trained]
    assert ids[0] == ids[1] == ids[2]
    assert trained[0].decode(ids[0]) == text


@BACKENDS
def test_long_words(backend: str) -> None:
    """Longer than what is scanned, and than what is cached."""
    tokenizer = BytePairEncodingTokenizer.from_text("".join(SCRIPTS) * 4 + "abababa" * 50, 400, backend=backend)
    for length in (63, 64, 65, 127, 128, 129, 1000):
        for unit in ("a", "aab", "é", " "):
            text = (unit * length)[:length]
            expected = [one for word in splitter("gpt2")(text) for one in naive_encode(word.encode(), tokenizer)]
            assert tokenizer.encode_ordinary(text) == tokenizer.encode_ordinary(text) == expected


@BACKENDS
@pytest.mark.filterwarnings("ignore:the text has only")
def test_nul_bytes_are_words_like_others(backend: str) -> None:
    text = "\0 \0\0 \0\0\0 a\0 a\0\0 " * 3
    tokenizer = BytePairEncodingTokenizer.from_text(text, 262, special_tokens=(), backend=backend)
    assert tokenizer.merges == naive_merges([word.encode() for word in splitter("gpt2")(text)], 6, "raw", "lowest-ids")
    assert tokenizer.decode(tokenizer.encode_ordinary(text)) == text


def test_a_full_cache_is_emptied() -> None:
    """More distinct words than the cache has room for."""
    tokenizer = BytePairEncodingTokenizer.from_text("123456789 " * 9, 260, backend="numba")
    text = " ".join(map(str, range(100_000, 370_000)))
    twin = BytePairEncodingTokenizer(tokenizer.merges, backend="python")
    expected = twin.encode_to_numpy(text)
    assert np.array_equal(tokenizer.encode_to_numpy(text), expected)
    assert np.array_equal(tokenizer.encode_to_numpy(text), expected)


@BACKENDS
def test_ids_equal_tiktokens_with_gpt2s_tables(
    backend: str, gpt2_encoding: tiktoken.Encoding, gpt2: BytePairEncodingTokenizer, shakespeare: str
) -> None:
    tokenizer = BytePairEncodingTokenizer(gpt2.merges, byte_order="gpt2", backend=backend)
    code = "".join(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
    for text in (shakespeare, code, "".join(SCRIPTS) * 30):
        assert tokenizer.encode_ordinary(text) == gpt2_encoding.encode_ordinary(text)
    assert tokenizer.n_vocab == gpt2_encoding.n_vocab
    assert tokenizer.eot_token == gpt2_encoding.eot_token


@fuzz
@given(text=texts)
def test_fuzzed_ids_equal_tiktokens(
    text: str, gpt2_encoding: tiktoken.Encoding, gpt2: BytePairEncodingTokenizer
) -> None:
    assert gpt2.encode_ordinary(text) == gpt2_encoding.encode_ordinary(text)


@BACKENDS
@pytest.mark.parametrize(
    "text", ["\ud83d", "a\udc80b", "\ud83d\ude0a", "\ude0a\ud83d", "x\ud83d\ude0a\ud83d", "\udcff" * 5]
)
def test_lone_surrogates_are_read_as_tiktoken_reads_them(backend: str, text: str) -> None:
    tokenizer = BytePairEncodingTokenizer([], backend=backend)
    assert tokenizer.encode_ordinary(text) == list(well_formed(text).encode())
    plain = tiktoken.Encoding(
        "t", pat_str=PATTERNS["gpt2"], mergeable_ranks={bytes([b]): b for b in range(256)}, special_tokens={}
    )
    assert tokenizer.encode_ordinary(text) == plain.encode_ordinary(text)


@BACKENDS
@few
@given(data=st.binary(max_size=60))
@pytest.mark.filterwarnings("ignore:the text has only")
def test_bytes_round_trip(backend: str, data: bytes) -> None:
    if not data:
        return
    tokenizer = BytePairEncodingTokenizer.from_input_bytes(data * 2, 270, backend=backend)
    ids = tokenizer.encode_bytes(data)
    assert tokenizer.decode_bytes(ids) == data
    other = BytePairEncodingTokenizer(tokenizer.merges, pattern="none", special_tokens=(), backend="python")
    assert other.encode_bytes(data) == ids


def test_the_wikipedia_example() -> None:
    tokenizer = BytePairEncodingTokenizer.from_input_bytes(b"aaabdaaabac", 259, tie_break="lowest-ids")
    assert [tokenizer.decode_single_token_bytes(index) for index in (256, 257, 258)] == [b"aa", b"ab", b"aaab"]
    assert tokenizer.encode_bytes(b"aaabdaaabac") == [258, ord("d"), 258, ord("a"), ord("c")]
    assert tokenizer.special_tokens == {}
