"""The three tokenizers behind one interface, and the file that says which it is."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiktoken

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

TEXT = "the cat sat on the mat, the dog's hat in the hat"
BYTES = {bytes([byte]): byte for byte in range(256)}


def encoding(special_tokens: dict[str, int]) -> tiktoken.Encoding:
    ranks = BYTES | {b"th": 256, b"the": 257, b"at": 258}
    return tiktoken.Encoding("toy", pat_str=r"\s?\S+|\s", mergeable_ranks=ranks, special_tokens=special_tokens)


TOKENIZERS: list[Tokenizer] = [
    CharacterTokenizer.from_text(TEXT),
    BytePairEncodingTokenizer.from_text(TEXT, 270),
    TiktokenTokenizer(encoding({END_OF_TEXT: 259})),
]
EACH = pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: type(tokenizer).__name__)


@EACH
def test_the_interface(tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert isinstance(tokenizer, Tokenizer)
    ids = tokenizer.encode_ordinary(TEXT)
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.decode_bytes(ids) == TEXT.encode()
    assert tokenizer.encode_to_numpy(TEXT).tolist() == ids
    assert tokenizer.encode_to_numpy(TEXT).dtype == np.uint16
    assert tokenizer.eot_token == tokenizer.n_vocab - 1
    assert tokenizer.decode([tokenizer.eot_token]) == END_OF_TEXT

    tokenizer.save(tmp_path / TOKENIZER_FILE)
    loaded = load_tokenizer(tmp_path)
    assert type(loaded) is type(tokenizer)
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.n_vocab == tokenizer.n_vocab
    assert loaded.encode_ordinary(TEXT) == ids
    assert type(tokenizer).load(tmp_path / TOKENIZER_FILE).fingerprint == tokenizer.fingerprint


@EACH
def test_the_end_of_text_token_is_never_read_from_text(tokenizer: Tokenizer) -> None:
    if not isinstance(tokenizer, CharacterTokenizer):
        assert tokenizer.eot_token not in tokenizer.encode_ordinary(f"a{END_OF_TEXT}b")


@EACH
@pytest.mark.parametrize("ids", [[-1], [1 << 40], [10**30]])
def test_an_unknown_id_is_an_error(tokenizer: Tokenizer, ids: list[int]) -> None:
    with pytest.raises(ValueError, match="unknown token id"):
        tokenizer.decode_bytes(ids)


def test_fingerprints_differ_between_tokenizers() -> None:
    assert len({tokenizer.fingerprint for tokenizer in TOKENIZERS}) == len(TOKENIZERS)


def test_no_end_of_text_token_is_a_clear_error() -> None:
    for tokenizer in (
        TiktokenTokenizer(encoding({})),
        BytePairEncodingTokenizer.from_text(TEXT, 260, special_tokens=()),
    ):
        assert isinstance(tokenizer, Tokenizer)
        with pytest.raises(NoEndOfTextError, match=r"no <\|endoftext\|> token"):
            _ = tokenizer.eot_token


def test_a_folder_or_file_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no tokenizer at"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"content": {"characters": "abz"}}, "is damaged: its content has SHA-256"),
        ({"version": 2}, "format version 2; this release reads version 1"),
        ({"format": "other"}, "not a tokenizer file of this project"),
        ({"kind": "word"}, "is damaged"),
        ({"kind": None}, "'kind' must be text"),
        ({"content": []}, "'content' an object"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    path = tmp_path / "tokenizer.json"
    CharacterTokenizer.from_text("abc").save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=complaint):
        load_tokenizer(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"is not JSON|expected an object"):
        load_tokenizer(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    CharacterTokenizer.from_text("abc").save(tmp_path / "t.json")
    with pytest.raises(ValueError, match="of kind 'character', not 'byte_pair_encoding'"):
        BytePairEncodingTokenizer.load(tmp_path / "t.json")


def test_the_gpt2_tables_through_tiktoken(gpt2_encoding: tiktoken.Encoding, tmp_path: Path) -> None:
    """The wrapper serves GPT-2's tables without a network, and its file holds all of them."""
    tokenizer = TiktokenTokenizer(gpt2_encoding)
    assert tokenizer.encode_ordinary("Hello world") == [15496, 995]
    tokenizer.save(tmp_path / TOKENIZER_FILE)
    loaded = load_tokenizer(tmp_path)
    assert loaded.encode_ordinary("Hello world") == [15496, 995]
    assert loaded.n_vocab == 50257
    assert loaded.eot_token == 50256


def test_a_table_that_cannot_be_downloaded_is_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        RuntimeError, match=r"'p50k_edit' is not on this machine.*refused\)\.\nTry again with a network"
    ):
        TiktokenTokenizer.from_name("p50k_edit")
