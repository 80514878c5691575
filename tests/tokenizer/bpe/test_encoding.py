"""The ways to encode and decode: special tokens, batches, streams, files, offsets; and what is refused."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT
from gpt_from_scratch.tokenizer.splitting.chunks import Cutter
from tests.tokenizer.texts import SCRIPTS, few, fuzz, texts

TEXT = "".join(SCRIPTS)
SPECIAL = (END_OF_TEXT, "<|end|>", "<|end", "a<|")
BACKENDS = pytest.mark.parametrize("backend", ["python", "numba"])


@pytest.fixture(scope="module")
def tokenizer() -> BytePairEncodingTokenizer:
    return BytePairEncodingTokenizer.from_text(TEXT * 3, 400, special_tokens=SPECIAL)


def on(tokenizer: BytePairEncodingTokenizer, backend: str) -> BytePairEncodingTokenizer:
    return BytePairEncodingTokenizer(tokenizer.merges, special_tokens=SPECIAL, backend=backend)


def test_special_text_is_an_error_that_names_the_ways_out(tokenizer: BytePairEncodingTokenizer) -> None:
    with pytest.raises(
        ValueError, match=r"'<\|end\|>' at position 3.*allowed_special.*disallowed_special=\(\).*encode_ord"
    ):
        tokenizer.encode("hi <|end|>")


def test_allowed_and_disallowed_special_tokens(tokenizer: BytePairEncodingTokenizer) -> None:
    end, start = tokenizer.special_tokens["<|end|>"], tokenizer.special_tokens["<|end"]
    assert tokenizer.encode("x<|end|>x", allowed_special="all") == [ord("x"), end, ord("x")]
    only = tokenizer.encode("<|end|><|end|>", allowed_special={"<|end|>"}, disallowed_special={END_OF_TEXT})
    assert only == [end, end]
    assert tokenizer.encode("<|end<|end|>|>", allowed_special="all")[:2] == [start, end]
    ordinary = tokenizer.encode_ordinary("<|end|>")
    assert tokenizer.encode("<|end|>", disallowed_special=()) == ordinary
    assert end not in ordinary
    # What is allowed and also named as disallowed is an error; "all" disallowed leaves out the allowed.
    with pytest.raises(ValueError, match="holds the special token"):
        tokenizer.encode("<|end|>", allowed_special={"<|end|>"}, disallowed_special={"<|end|>"})
    assert tokenizer.encode("<|pad|>", allowed_special={"<|pad|>"}) == tokenizer.encode_ordinary("<|pad|>")
    with pytest.raises(ValueError, match="is no name"):
        tokenizer.encode("", disallowed_special={""})
    with pytest.raises(ValueError, match="as a set of names, or 'all'"):
        tokenizer.encode("", allowed_special="<|end|>")


@BACKENDS
@few
@given(
    parts=st.lists(st.one_of(texts, st.sampled_from(SPECIAL)), max_size=6),
    allowed=st.sets(st.sampled_from(SPECIAL[:2])),
)
def test_special_tokens_are_tiktokens(
    backend: str, parts: list[str], allowed: set[str], tokenizer: BytePairEncodingTokenizer
) -> None:
    """Of names that do not overlap, since of others tiktoken takes whichever its table lists first."""
    ours = BytePairEncodingTokenizer(tokenizer.merges, special_tokens=SPECIAL[:2], backend=backend)
    theirs = ours.to_tiktoken()
    text = "".join(parts)
    expected = theirs.encode(text, allowed_special=allowed, disallowed_special=())
    assert ours.encode(text, allowed_special=allowed, disallowed_special=()) == expected
    assert ours.decode(expected) == text


@BACKENDS
@few
@given(texts=st.lists(st.one_of(texts, st.sampled_from([*SPECIAL, "<|e", "nd|>", "nd"])), max_size=8))
def test_streams_and_batches_equal_the_whole(
    backend: str, texts: list[str], tokenizer: BytePairEncodingTokenizer
) -> None:
    ours = on(tokenizer, backend)
    whole = ours.encode("".join(texts), allowed_special="all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpt_from_scratch.tokenizer.splitting.chunks.PIECE", 7)
        assert list(ours.encode_iterable(texts, allowed_special="all")) == whole
        assert ours.encode("".join(texts), allowed_special="all") == whole
    each = [ours.encode(text, allowed_special="all") for text in texts]
    assert ours.encode_batch(texts, allowed_special="all", num_threads=2) == each


@BACKENDS
@few
@given(text=texts, pieces=st.integers(1, 5))
def test_a_stream_gives_each_id_as_soon_as_it_is_certain(
    backend: str, text: str, pieces: int, tokenizer: BytePairEncodingTokenizer
) -> None:
    """All together are the whole's, and at no time an id is given that a text to come could change."""
    ours = on(tokenizer, backend)
    text = f"{text} Once upon a time<|end|> there was a cat, {text}"
    asked = 0

    def source() -> Iterator[str]:
        nonlocal asked
        for start in range(0, len(text), pieces):
            asked = start + pieces
            yield text[start : start + pieces]

    ids: list[int] = []
    for index in ours.encode_iterable(source(), allowed_special="all"):
        ids.append(index)
        given = len(ours.decode(ids).encode("utf-8", "replace"))
        words = ours.encode(text[:asked], allowed_special="all")
        assert ids == words[: len(ids)] or asked >= len(text)
        assert given <= len(text[:asked].encode()) + 3
    assert ids == ours.encode(text, allowed_special="all")


def test_a_live_stream_is_never_far_behind(tokenizer: BytePairEncodingTokenizer) -> None:
    text = "Once upon a time, there was a cat. It sat on a mat!\n" * 40
    asked = 0

    def source() -> Iterator[str]:
        nonlocal asked
        for character in text:
            asked += 1
            yield character

    given = 0
    for index in tokenizer.encode_iterable(source()):
        given += len(tokenizer.decode_single_token_bytes(index))
        # The last word is open, and may be followed by "<|endoftext|>"; without a pause a 256th may be kept back.
        assert asked - given <= 12 + asked // 256


def test_a_long_text_without_a_cut_is_streamed_in_linear_time(
    tokenizer: BytePairEncodingTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    last = Cutter.last
    monkeypatch.setattr(Cutter, "last", lambda *arguments: looks.append(len(arguments[1])) or last(*arguments))
    text = "a" * 50_000
    assert list(tokenizer.encode_iterable(text)) == tokenizer.encode(text)
    assert sum(looks) < 300 * len(text)


@BACKENDS
def test_a_stream_refuses_special_text_split_over_its_texts(backend: str, tokenizer: BytePairEncodingTokenizer) -> None:
    with pytest.raises(ValueError, match="holds the special token"):
        list(on(tokenizer, backend).encode_iterable(["a <|endof", "text|> b"]))


@BACKENDS
def test_a_file_into_shards(
    backend: str, tokenizer: BytePairEncodingTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks and pieces cut characters, words and special tokens; two threads; line ends stay as they are."""
    monkeypatch.setattr("gpt_from_scratch.tokenizer.bpe.large_files.BLOCK", 101)
    monkeypatch.setattr("gpt_from_scratch.tokenizer.splitting.chunks.PIECE", 150)
    ours = on(tokenizer, backend)
    text = (TEXT + END_OF_TEXT) * 6 + "<|end"
    path = tmp_path / "corpus.txt"
    path.write_bytes(text.encode())
    ids = ours.encode(text, allowed_special="all")
    shards = ours.encode_file(path, tmp_path / "out", shard_tokens=500, num_threads=2, allowed_special="all")
    arrays = [np.load(shard, mmap_mode="r") for shard in shards]
    assert [shard.name for shard in shards] == [f"corpus_{index:06}.npy" for index in range(len(shards))]
    assert [len(array) for array in arrays[:-1]] == [500] * (len(arrays) - 1)
    assert np.concatenate(arrays).tolist() == ids
    assert arrays[0].dtype == np.uint16
    assert len(list((tmp_path / "out").iterdir())) == len(shards)
    with pytest.raises(ValueError, match="holds the special token"):
        ours.encode_file(path, tmp_path / "refused")


@BACKENDS
def test_training_on_files(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the texts joined by a special token, whatever the blocks."""
    monkeypatch.setattr("gpt_from_scratch.tokenizer.bpe.large_files.BLOCK", 97)
    paths = [tmp_path / f"{index}.txt" for index in range(3)]
    for index, path in enumerate(paths):
        path.write_bytes(TEXT[index * 50 :].encode())
    seen: list[tuple[str, int]] = []
    from_files = BytePairEncodingTokenizer.from_files(
        paths, 300, backend=backend, progress=lambda stage, number: seen.append((stage, number))
    )
    joined = END_OF_TEXT.join(TEXT[index * 50 :] for index in range(3))
    assert from_files.fingerprint == BytePairEncodingTokenizer.from_text(joined, 300, backend="python").fingerprint
    assert seen[-2:] == [("counting", sum(len(TEXT[index * 50 :]) for index in range(3))), ("merging", 43)]
    paths[0].write_bytes(b"abc \xff")
    with pytest.raises(ValueError, match=r"0\.txt is not UTF-8 text: byte 0xff at offset 4"):
        BytePairEncodingTokenizer.from_files(paths, 300, backend=backend)
    with pytest.raises(FileNotFoundError):
        BytePairEncodingTokenizer.from_files([tmp_path / "none.txt"], 300)


def test_an_empty_file_and_an_empty_text(tokenizer: BytePairEncodingTokenizer, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    assert tokenizer.encode_file(tmp_path / "empty.txt", tmp_path) == []
    assert tokenizer.encode("") == tokenizer.encode_bytes(b"") == list(tokenizer.encode_iterable([])) == []
    assert tokenizer.encode_batch([]) == []
    assert tokenizer.encode_batch(["", "a", ""]) == [[], [97], []]
    assert on(tokenizer, "numba").encode_batch(["", "a", ""]) == [[], [97], []]
    assert tokenizer.encode_to_numpy("").dtype == np.uint16
    assert tokenizer.decode([]) == ""


@fuzz
@given(text=texts, data=st.data())
def test_decoding_a_stream(text: str, data: st.DataObject, tokenizer: BytePairEncodingTokenizer) -> None:
    """Also of ids that do not make whole characters: joined, the pieces are what decoding all at once gives."""
    ids = tokenizer.encode_ordinary(text)
    ids = data.draw(st.permutations(ids)) if data.draw(st.booleans()) else ids
    pieces = list(tokenizer.decode_stream(ids))
    assert "".join(pieces) == tokenizer.decode(ids)
    assert all(pieces)


@fuzz
@given(text=texts)
def test_offsets_are_tiktokens(text: str, tokenizer: BytePairEncodingTokenizer) -> None:
    ids = tokenizer.encode_ordinary(text)
    assert tokenizer.decode_with_offsets(ids) == tokenizer.to_tiktoken().decode_with_offsets(ids)


def test_single_tokens(tokenizer: BytePairEncodingTokenizer) -> None:
    theirs: tiktoken.Encoding = tokenizer.to_tiktoken()
    assert tokenizer.token_byte_values() == theirs.token_byte_values()
    assert tokenizer.max_token_value == theirs.max_token_value
    assert tokenizer.special_tokens_set == theirs.special_tokens_set
    assert tokenizer.decode_single_token_bytes(tokenizer.eot_token) == END_OF_TEXT.encode()
    for index in range(tokenizer.n_vocab):
        assert tokenizer.decode_single_token_bytes(index) == theirs.decode_single_token_bytes(index)
    with pytest.raises(ValueError, match="unknown token id 400: this tokenizer has 400 ids, the largest 399"):
        tokenizer.decode([400])


def test_every_token_encodes_to_itself(tokenizer: BytePairEncodingTokenizer) -> None:
    whole = BytePairEncodingTokenizer(tokenizer.merges, pattern="none")
    for index in range(256 + len(tokenizer.merges)):
        assert whole.encode_bytes(tokenizer.decode_single_token_bytes(index)) == [index]


def test_a_tokenizer_goes_through_pickle(tokenizer: BytePairEncodingTokenizer) -> None:
    """As multiprocessing and data loaders send it."""
    again = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode_ordinary(TEXT) == tokenizer.encode_ordinary(TEXT)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"text": ""}, "the text is empty"),
        ({"text": "<|endoftext|>"}, "the text is empty"),
        ({"vocab_size": 256}, "vocab_size 256 is too small: 256 bytes and 1 special tokens need at least 257"),
        ({"tie_break": "random"}, "unknown tie_break 'random': known are lowest-ids, lexicographic, first"),
        ({"byte_order": "big"}, "unknown byte_order 'big'"),
        ({"pattern": "gpt3"}, "unknown pattern 'gpt3'"),
        ({"backend": "rust"}, "unknown backend 'rust': known are auto, numba, python"),
        ({"num_threads": 0}, "num_threads must be at least 1"),
        ({"special_tokens": ["a", "a"]}, "special tokens must differ"),
        ({"special_tokens": [""]}, "cannot be the empty text"),
    ],
)
@BACKENDS
def test_bad_input_to_training(
    backend: str, arguments: dict[str, object], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"text": "ab ab", "vocab_size": 258, "backend": backend} | arguments
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # which would complain first
    with pytest.raises(ValueError, match=complaint):
        BytePairEncodingTokenizer.from_text(**options)  # type: ignore[arg-type]


@BACKENDS
def test_fewer_merges_than_asked_for(backend: str) -> None:
    with pytest.warns(
        UserWarning, match="only 1 pairs to merge, 43 were asked for: the vocabulary has 258 ids, not 300"
    ):
        tokenizer = BytePairEncodingTokenizer.from_text("ab", 300, backend=backend)
    assert tokenizer.n_vocab == 258
    assert tokenizer.encode_ordinary("abab") == [256, 256]


@pytest.mark.parametrize(
    ("merges", "options", "complaint"),
    [
        ([(97, 300)], {}, "merge 0 joins .*only ids below 256 exist"),
        ([(97, 98), (97, 98)], {}, "each pair can be merged only once"),
        ([(97, 98)], {"special_tokens": {"x": 256}}, "has the id 256 of the token b'ab'"),
        ([(97, 98)], {"special_tokens": {"x": 300, "y": 300}}, "different ids"),
        ([(97, 98)], {"special_tokens": {"x": -1}}, "negative id"),
        ([(97, 98)], {"token_ids": [1, 2]}, "token_ids has 2 ids for 257"),
        ([(97, 98)], {"token_ids": [0] * 257}, "token_ids must differ"),
    ],
)
def test_merges_that_cannot_be(merges: list[tuple[int, int]], options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        BytePairEncodingTokenizer(merges, **options)
