"""Other programs' files: written, read by their own programs, read back, and refused where they cannot be honoured."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tokenizers
from hypothesis import given

from gpt_from_scratch.tokenizer.bpe.printable import CHARACTERS, from_printable, to_printable
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.gpt2_files import read_gpt2, write_gpt2
from gpt_from_scratch.tokenizer.formats.hugging_face import read_hugging_face, write_hugging_face
from gpt_from_scratch.tokenizer.formats.opening import open_tokenizer
from gpt_from_scratch.tokenizer.formats.tiktoken_ranks import from_tiktoken, read_ranks, write_ranks
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer
from tests.tokenizer.texts import SCRIPTS, fuzz, texts

TEXT = "".join(SCRIPTS)
SPECIAL = ("<|endoftext|>", "<|pad|>")


@pytest.fixture(scope="module", params=["raw", "gpt2"])
def trained(request: pytest.FixtureRequest) -> BytePairEncodingTokenizer:
    return BytePairEncodingTokenizer.from_text(TEXT * 3, 450, special_tokens=SPECIAL, byte_order=request.param)


def numbered_from_the_end(tokenizer: BytePairEncodingTokenizer) -> BytePairEncodingTokenizer:
    """The same merges with special tokens first, as many published tokenizers number them."""
    size = len(tokenizer.symbols)
    return BytePairEncodingTokenizer(
        tokenizer.merges,
        special_tokens={name: index for index, name in enumerate(SPECIAL)},
        byte_order=tokenizer.byte_order,
        token_ids=list(range(2, size + 2)),
    )


def test_tiktokens_file(trained: BytePairEncodingTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "ours.tiktoken"
    write_ranks(trained, path)
    assert tiktoken.load.load_tiktoken_bpe(str(path)) == trained.to_tiktoken()._mergeable_ranks
    again = read_ranks(path, pattern="gpt2", special_tokens=trained.special_tokens)
    assert again.fingerprint == trained.fingerprint
    assert from_tiktoken(trained.to_tiktoken()).fingerprint == trained.fingerprint
    other = numbered_from_the_end(trained)
    back = from_tiktoken(other.to_tiktoken())
    assert back.encode(TEXT + "<|pad|>", allowed_special="all") == other.encode(TEXT + "<|pad|>", allowed_special="all")


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (b"IQ== 0\nnot base64 1", r"line 2: expected a token in base64"),
        (b"IQ==", "line 1: expected a token in base64"),
        (b"IQ== 0\nIQ== 1", "line 2: the token b'!' is empty or there twice"),
        (b"IQ== 0\nIg== 0", "same rank"),
        (b"IQ== 0\nIg== 1", "lacks the single bytes"),
    ],
)
def test_damaged_rank_files(tmp_path: Path, lines: bytes, complaint: str) -> None:
    path = tmp_path / "x.tiktoken"
    path.write_bytes(lines)
    with pytest.raises(ValueError, match=complaint):
        read_ranks(path, pattern="gpt2", special_tokens={})


def test_ranks_that_are_not_of_a_byte_pair_encoding_are_refused() -> None:
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"abc": 256, b"ab": 257}
    with pytest.raises(ValueError, match="token b'abc' .* of 3: these are not the ranks"):
        from_tiktoken(tiktoken.Encoding("t", pat_str=r".", mergeable_ranks=ranks, special_tokens={}))


@fuzz
@given(text=texts)
def test_hugging_face_gives_the_same_ids(text: str, trained: BytePairEncodingTokenizer, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / f"{trained.byte_order}.json"
    if not path.exists():
        write_hugging_face(numbered_from_the_end(trained), path)
    theirs = tokenizers.Tokenizer.from_file(str(path))
    ids = numbered_from_the_end(trained).encode(text, allowed_special="all")
    assert theirs.encode(text).ids == ids
    assert theirs.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("pattern", [*PATTERNS, r"\w+|\W"])
def test_hugging_faces_file_both_ways(pattern: str, tmp_path: Path) -> None:
    tokenizer = BytePairEncodingTokenizer.from_text(TEXT * 3, 400, pattern=pattern, special_tokens=SPECIAL)
    path = tmp_path / "tokenizer.json"
    write_hugging_face(tokenizer, path)
    assert read_hugging_face(path).fingerprint == tokenizer.fingerprint
    theirs = tokenizers.Tokenizer.from_file(str(path))
    assert theirs.encode(TEXT).ids == tokenizer.encode(TEXT, allowed_special="all")
    # Saved again by the library itself, and with merges in the older style.
    theirs.save(str(path))
    assert read_hugging_face(path).fingerprint == tokenizer.fingerprint
    document = json.loads(path.read_text())
    document["model"]["merges"] = [" ".join(merge) for merge in document["model"]["merges"]]
    document["model"]["ignore_merges"] = True
    path.write_text(json.dumps(document))
    assert read_hugging_face(path).fingerprint == tokenizer.fingerprint


def test_what_their_engine_would_read_differently_is_not_written(tmp_path: Path) -> None:
    tokenizer = BytePairEncodingTokenizer([], pattern=r"(?i:ss)|[\s\S]")
    with pytest.raises(ValueError, match=r"has 'ss' in \(\?i:…\), which Hugging Face's engine"):
        write_hugging_face(tokenizer, tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (["normalizer"], {"type": "NFC"}, "it has a normalizer"),
        (["truncation"], {"max_length": 5}, "it has a truncation"),
        (["model", "type"], "Unigram", "model is not BPE"),
        (["model", "dropout"], 0.1, "dropout = 0.1"),
        (["model", "byte_fallback"], True, "byte_fallback"),
        (["pre_tokenizer"], {"type": "Whitespace"}, "last pre-tokenizer is not ByteLevel"),
        (["pre_tokenizer"], None, "no ByteLevel"),
        (["pre_tokenizer", "add_prefix_space"], True, "without add_prefix_space"),
        (["decoder"], {"type": "WordPiece"}, "decoder is not ByteLevel"),
        (["added_tokens", 0, "lstrip"], True, "has lstrip"),
        (["added_tokens", 0, "id"], 7, "two ids"),
        (["model", "merges", 0], "a", "is not a merge"),
        (["model", "merges", 0], ["qq", "z"], "which no earlier merge makes"),
        (["model", "merges"], [], "no merge makes the token"),
        (["model", "vocab", "a"], -1, "the id of 'a' is -1"),
        (["model", "vocab", "a"], 98, "two tokens have the same id"),
        (["model", "vocab", "zzz"], 5000, "no merge makes the token 'zzz'"),
        (["model", "vocab"], [], "lacks vocab"),
    ],
)
def test_what_cannot_be_honoured_is_refused(place: list[Any], value: object, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    write_hugging_face(BytePairEncodingTokenizer.from_text("ab ab abc", 260), path)
    document = json.loads(path.read_text())
    inside = document
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=complaint):
        read_hugging_face(path)


def test_a_post_processor_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    write_hugging_face(BytePairEncodingTokenizer.from_text("ab ab", 258), path)
    document = json.loads(path.read_text())
    document["post_processor"] = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
    path.write_text(json.dumps(document))
    with pytest.warns(UserWarning, match="adds special tokens around each text"):
        read_hugging_face(path)


def test_gpt2s_files_both_ways(trained: BytePairEncodingTokenizer, tmp_path: Path) -> None:
    for tokenizer in (trained, numbered_from_the_end(trained)):
        vocabulary, merges = write_gpt2(tokenizer, tmp_path)
        assert read_gpt2(vocabulary, merges).fingerprint == tokenizer.fingerprint
        theirs = tokenizers.models.BPE.from_file(str(vocabulary), str(merges))
        ids = tokenizer.token_ids or range(len(tokenizer.symbols))
        assert [theirs.token_to_id(to_printable(token)) for token in tokenizer.symbols] == list(ids)


@pytest.mark.parametrize("line", ["Ġ", "Ġ t x", "\u4e2d a"])
def test_damaged_merges_files(line: str, tmp_path: Path) -> None:
    vocabulary, merges = write_gpt2(BytePairEncodingTokenizer.from_text("ab ab", 258), tmp_path)
    merges.write_text(merges.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 3: expected two tokens|not spelt in GPT-2's byte alphabet"):
        read_gpt2(vocabulary, merges)


def test_gpt2s_published_tables(gpt2: BytePairEncodingTokenizer, gpt2_encoding: tiktoken.Encoding) -> None:
    assert gpt2.n_vocab == 50257
    assert gpt2.eot_token == 50256
    assert gpt2.byte_order == "gpt2"
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.to_tiktoken()._mergeable_ranks == gpt2_encoding._mergeable_ranks
    assert from_tiktoken(gpt2_encoding).fingerprint == gpt2.fingerprint


def test_the_printable_alphabet() -> None:
    assert to_printable(b" \n!\x00\xff") == "ĠĊ!Āÿ"
    assert len(set(CHARACTERS)) == 256
    assert from_printable("".join(CHARACTERS)) == bytes(range(256))
    with pytest.raises(ValueError, match="not spelt in GPT-2's byte alphabet"):
        from_printable("a b")


@pytest.mark.parametrize("change", [{"merges": [[97, 999]]}, {"merges": 5}, {"pattern": None}, {"unicode": "17.0"}])
def test_a_damaged_tokenizer_file_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    from gpt_from_scratch.tokenizer.file_format import write_tokenizer

    tokenizer = BytePairEncodingTokenizer.from_text("ab ab", 258)
    write_tokenizer(tmp_path / "t.json", "byte_pair_encoding", tokenizer._content() | change)
    with pytest.raises(ValueError, match=r"merge 0 joins|not a whole byte_pair_encoding|Unicode 17\.0"):
        BytePairEncodingTokenizer.load(tmp_path / "t.json")


def test_a_renumbered_tokenizer_is_saved_whole(trained: BytePairEncodingTokenizer, tmp_path: Path) -> None:
    other = numbered_from_the_end(trained)
    other.save(tmp_path / "t.json")
    again = BytePairEncodingTokenizer.load(tmp_path / "t.json")
    assert again.fingerprint == other.fingerprint != trained.fingerprint
    assert again.encode_ordinary(TEXT) == [index + 2 for index in trained.encode_ordinary(TEXT)]


def test_a_name_that_is_no_file_may_be_one_of_tiktoken_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_name(name: str) -> TiktokenTokenizer:
        raise RuntimeError(f"asked for {name}")

    monkeypatch.setattr(TiktokenTokenizer, "from_name", from_name)
    with pytest.raises(RuntimeError, match="asked for gpt2"):
        open_tokenizer("gpt2")
    with pytest.raises(FileNotFoundError, match="no tokenizer at gpt3: give a tokenizer's file, .* or"):
        open_tokenizer("gpt3")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a pipe, not a file"):
        open_tokenizer(tmp_path / "pipe")


@pytest.mark.parametrize("given", ["run", "run/checkpoints/step-00000002", "run/checkpoints/step-00000002/model"])
def test_a_run_and_its_checkpoints_stand_for_their_tokenizer(given: str, tmp_path: Path) -> None:
    tokenizer = BytePairEncodingTokenizer.from_text("the robin sang to the fox " * 20, 270)
    model = tmp_path / "run" / "checkpoints" / "step-00000002" / "model"
    model.mkdir(parents=True)
    tokenizer.save(model / "gpt_tokenizer.json")
    (tmp_path / "run" / "checkpoints" / "step-00000003").mkdir()  # is being written
    assert open_tokenizer(tmp_path / given).fingerprint == tokenizer.fingerprint
