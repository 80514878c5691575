"""Our tokenizer and the wrapper where a `tiktoken.Encoding` is expected: each method against tiktoken's own."""

from typing import Any

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, UnknownTokenError
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer
from tests.tokenizer.texts import SCRIPTS, few, texts

SPECIAL = (END_OF_TEXT, "<|end|>")
NAMES = (*SPECIAL, "<|pad|>")
OURS = BytePairEncodingTokenizer.from_text("".join(SCRIPTS) * 3, 400, special_tokens=SPECIAL)
THEIRS = OURS.to_tiktoken("toy")
EACH = pytest.mark.parametrize("tokenizer", [OURS, TiktokenTokenizer(THEIRS)], ids=["ours", "wrapper"])
lists = st.lists(st.integers(0, OURS.max_token_value), max_size=12)


def outcome(function: Any, *arguments: Any, **options: Any) -> Any:
    """The result, or the kind of the error."""
    try:
        return function(*arguments, **options)
    except KeyError:
        return KeyError
    except UnicodeDecodeError:
        return UnicodeDecodeError
    except ValueError:
        return ValueError


@EACH
@few
@given(text=st.one_of(texts, st.sampled_from([*NAMES, "a<|end|>b"])), allowed=st.sets(st.sampled_from(NAMES)))
@pytest.mark.parametrize("disallowed", ["all", (), {"<|end|>"}, {"<|pad|>", "cat"}])
def test_encoding_with_choices(tokenizer: Any, disallowed: Any, text: str, allowed: set[str]) -> None:
    """Also names that are not known: ignored where allowed, an error in the text where not."""
    options = {"allowed_special": allowed, "disallowed_special": disallowed}
    expected = outcome(THEIRS.encode, text, **options)
    assert outcome(tokenizer.encode, text, **options) == expected
    found = outcome(tokenizer.encode_to_numpy, text, **options)
    assert (found.tolist() if isinstance(found, np.ndarray) else found) == expected
    batch = outcome(tokenizer.encode_batch, [text, "a"], num_threads=2, **options)
    assert batch == outcome(THEIRS.encode_batch, [text, "a"], num_threads=2, **options)
    assert tokenizer.encode_ordinary_batch([text, "b"], num_threads=2) == THEIRS.encode_ordinary_batch([text, "b"])
    assert tokenizer.encode_to_numpy(text).tolist() == THEIRS.encode_ordinary(text)


@EACH
@few
@given(text=texts)
def test_unstable_ends(tokenizer: Any, text: str) -> None:
    stable, completions = THEIRS.encode_with_unstable(text, disallowed_special=())
    found, others = tokenizer.encode_with_unstable(text, disallowed_special=())
    assert (found, sorted(others)) == (stable, sorted(completions))


@EACH
@few
@given(batch=st.lists(lists, max_size=3))
@pytest.mark.parametrize("errors", ["replace", "strict", "ignore", "backslashreplace"])
def test_decoding(tokenizer: Any, errors: str, batch: list[list[int]]) -> None:
    for ids in batch:
        assert outcome(tokenizer.decode, ids, errors=errors) == outcome(THEIRS.decode, ids, errors=errors)
        assert outcome(tokenizer.decode, ids, errors) == outcome(THEIRS.decode, ids, errors)
        assert tokenizer.decode_bytes(ids) == THEIRS.decode_bytes(ids)
        assert tokenizer.decode_tokens_bytes(ids) == THEIRS.decode_tokens_bytes(ids)
        assert outcome(tokenizer.decode_with_offsets, ids) == outcome(THEIRS.decode_with_offsets, ids)
    assert tokenizer.decode_bytes_batch(batch, num_threads=2) == THEIRS.decode_bytes_batch(batch)
    assert outcome(tokenizer.decode_batch, batch, errors=errors) == outcome(THEIRS.decode_batch, batch, errors=errors)


@EACH
def test_single_tokens(tokenizer: Any) -> None:
    for index in range(THEIRS.n_vocab):
        data = THEIRS.decode_single_token_bytes(index)
        assert tokenizer.decode_single_token_bytes(index) == data == tokenizer.vocab[index]
        assert tokenizer.is_special_token(index) == THEIRS.is_special_token(index)
        if not THEIRS.is_special_token(index):
            assert tokenizer.encode_single_token(data) == THEIRS.encode_single_token(data) == index
    for name in (*SPECIAL, " t", "a", b"a", b"\xff", "no token", b"no token", "", END_OF_TEXT.encode()):
        assert outcome(tokenizer.encode_single_token, name) == outcome(THEIRS.encode_single_token, name)
    assert tokenizer.token_byte_values() == THEIRS.token_byte_values()


@EACH
def test_properties(tokenizer: Any) -> None:
    for name in ("n_vocab", "max_token_value", "eot_token", "special_tokens_set"):
        assert getattr(tokenizer, name) == getattr(THEIRS, name)
    assert tokenizer.name == ("toy" if isinstance(tokenizer, TiktokenTokenizer) else "gpt_from_scratch")
    assert tokenizer.to_tiktoken().name == tokenizer.name


@EACH
@pytest.mark.parametrize("index", [-1, 400, 1 << 40, 10**30])
def test_an_unknown_id_is_a_key_error(tokenizer: Any, index: int) -> None:
    """As there where the id fits 32 bits; and a ValueError, as everywhere here."""
    for decode in (tokenizer.decode, tokenizer.decode_bytes, tokenizer.decode_tokens_bytes):
        with pytest.raises(KeyError) as caught:
            decode([index])
        assert isinstance(caught.value, UnknownTokenError) and isinstance(caught.value, ValueError)
        assert str(caught.value).startswith("unknown token id")
    with pytest.raises(UnknownTokenError):
        tokenizer.decode_single_token_bytes(index)


def test_the_wrapper_never_loses_text() -> None:
    """tiktoken drops what a pattern skips, without a word."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    lossy = TiktokenTokenizer(tiktoken.Encoding("lossy", pat_str=r"\p{L}+", mergeable_ranks=ranks, special_tokens={}))
    assert lossy.decode(lossy.encode("Helloworld")) == "Helloworld"
    for encode in (lossy.encode, lossy.encode_ordinary, lossy.encode_to_numpy):
        with pytest.raises(ValueError, match="'lossy' loses 2 of the text's 12 bytes"):
            encode("Hello, world")
    with pytest.raises(ValueError, match="loses 1"):
        lossy.encode_batch(["a", "a."])


def test_a_panic_in_rust_is_a_value_error() -> None:
    """A search that tiktoken's engine gives up panics, which no `except Exception` would catch."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    slow = tiktoken.Encoding("slow", pat_str=r"(?:a|a|aa)+(?=b)|.", mergeable_ranks=ranks, special_tokens={})
    with pytest.raises(ValueError, match="tiktoken failed"):
        TiktokenTokenizer(slow).encode_ordinary("a" * 200)
