"""The course's names, and its merges, which a plain loop over the bytes defines."""

import itertools
from collections import Counter

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.course import BytePairEncodingWordTokenizer, RegexSplitPatterns
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, splitter
from gpt_from_scratch.tokenizer.views.terminal import show_token_mapping
from gpt_from_scratch.tokenizer.views.tokens import get_detailed_and_complete_tokenization_info_for_text
from tests.tokenizer.texts import SCRIPTS, few, texts

STORY = 'Once upon a time, there was a cat. The cat sat; the cat said: "Hi!"\n\n<|endoftext|>Once more, a mat?\n' * 4


def plain_merges(data: bytes, vocab_size: int) -> dict[tuple[int, int], int]:
    ids, merges = list(data), {}
    for new in range(256, vocab_size):
        counts = Counter(itertools.pairwise(ids))
        if not counts:
            break
        pair = max(counts, key=lambda pair: counts[pair])  # the first of the most frequent
        merges[pair] = new
        joined: list[int] = []
        for one in ids:
            if joined and (joined[-1], one) == pair and joined[-1] >= 0:
                joined[-1] = new if new not in pair else ~new
            else:
                joined.append(one)
        ids = [one if one >= 0 else ~one for one in joined]
    return merges


@few
@given(data=st.one_of(st.binary(min_size=1, max_size=60), st.text("ab ", min_size=1, max_size=60).map(str.encode)))
@pytest.mark.filterwarnings("ignore:the text has only")
def test_from_input_bytes_is_plain_byte_pair_encoding(data: bytes) -> None:
    tokenizer = BytePairEncodingTokenizer.from_input_bytes(input_bytes=data, vocab_size=270)
    merges = plain_merges(data, 270)
    assert tokenizer.merges == merges
    assert dict(tokenizer.merges) == dict(tokenizer.merges.items()) == merges
    assert list(tokenizer.merges) == list(tokenizer.merges.keys()) == list(merges)
    vocab = {index: bytes([index]) for index in range(256)}
    for (left, right), new in merges.items():
        vocab[new] = vocab[left] + vocab[right]
        assert tokenizer.merges[left, right] == tokenizer.merges.get((left, right)) == new
    assert tokenizer.vocab == vocab
    assert (300, 300) not in tokenizer.merges and tokenizer.merges.get((300, 300)) is None


def test_the_word_tokenizer() -> None:
    tokenizer = BytePairEncodingWordTokenizer.from_input_text(
        input_text=STORY,
        regex_split_pattern_string=RegexSplitPatterns.CUSTOM_TINYSTORIES,
        vocab_size=280,
        special_tokens=frozenset({"<|endoftext|>", "<|end|>"}),
    )
    assert len(tokenizer.vocab) == tokenizer.n_vocab == 280
    assert tokenizer.special_tokens_dict == {"<|endoftext|>": 256, "<|end|>": 257}
    assert tokenizer.regex_split_pattern_string == RegexSplitPatterns.CUSTOM_TINYSTORIES
    ids = tokenizer.encode(STORY)
    assert ids.count(256) == 4
    assert tokenizer.decode(ids) == STORY
    assert tokenizer.encode("<|end|>", disallowed_special=()) != [257]
    assert tokenizer.vocab[258] in (b"at", b"e ", b"th", b"ca", b"On")
    with pytest.raises(ValueError, match="special_tokens is the text '<s>'"):
        BytePairEncodingWordTokenizer.from_input_text(STORY, "gpt2", 300, special_tokens="<s>")


def test_the_word_tokenizers_merges_are_in_ids() -> None:
    tokenizer = BytePairEncodingWordTokenizer.from_input_text(
        input_text=STORY, regex_split_pattern_string=r"\w+", vocab_size=280, special_tokens={"<|endoftext|>", "<|end|>"}
    )
    assert min(tokenizer.merges.values()) == 258
    for (left, right), new in tokenizer.merges.items():
        assert tokenizer.merges[left, right] == new and (left, right) in tokenizer.merges
        assert tokenizer.vocab[new] == tokenizer.vocab[left] + tokenizer.vocab[right]
    first, *_ = tokenizer.merges
    assert tokenizer.encode(bytes(first).decode()) == [tokenizer.merges[first]] == [258]


@few
@given(text=texts)
def test_the_courses_pattern_finds_its_words(text: str) -> None:
    """Of those characters whose class Unicode has not changed since."""
    text = "".join(one for one in text if regex.fullmatch(r"\w", one) is None or one.isascii())
    theirs = r"""\b\w+\b|[.,!?;:"]|\s+|\n|<\|endoftext\|>"""
    assert [
        word for word in splitter(RegexSplitPatterns.CUSTOM_TINYSTORIES)(text) if regex.fullmatch(theirs, word)
    ] == (regex.findall(theirs, text))


def test_the_other_patterns_have_names() -> None:
    names = {name.lower() for name in vars(RegexSplitPatterns) if name.isupper()} - {"custom_tinystories"}
    assert {name: getattr(RegexSplitPatterns, name.upper()) for name in names} == PATTERNS


class Letters:
    """Only what the course asks of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: list[int]) -> str:
        return bytes(ids).decode()

    def decode_single_token_bytes(self, token: int) -> bytes:
        return bytes([token])


def test_the_views_need_three_methods(capsys: pytest.CaptureFixture[str]) -> None:
    show_token_mapping(tokenizer=Letters(), input_string="a你", color=False)
    assert capsys.readouterr().out.startswith(r"[a][\xe4][\xbd][\xa0]")
    found = get_detailed_and_complete_tokenization_info_for_text(tokenizer=Letters(), text=SCRIPTS[0])
    assert [one.token_index for one in found] == list(range(len(SCRIPTS[0])))
    assert [one.token_id for one in found] == Letters().encode(SCRIPTS[0])
